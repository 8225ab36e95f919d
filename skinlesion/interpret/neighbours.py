"""Nearest training images of a photograph by the backbone's features, and how far it is from all of them."""

import numpy as np

_NEAREST = 10
_BLOCK = 100  # images whose cosines with all others are in memory at a time
_REFERENCE = 1000  # training images whose own distances say what is usual


class Neighbours:
    """Unit-length features of training images; distances are 1 − cosine."""

    def __init__(self, features: np.ndarray, lesions: np.ndarray, seed: int = 0) -> None:
        """Take features (N, F) and the lesion (N,) of each image.

        What is usual comes from up to 1,000 of the images themselves, each against the images of other lesions.
        """
        self._features = _unit(features)
        sample = np.random.default_rng(seed).permutation(len(features))[:_REFERENCE]
        distances = []
        for rows in np.array_split(sample, max(1, len(sample) // _BLOCK)):  # cosines of all at a time may not fit
            similar = self._features[rows] @ self._features.T
            similar[lesions[rows][:, None] == lesions[None, :]] = -np.inf
            distances.append(_distance(similar))
        self._usual = np.sort(np.concatenate(distances))

    def percentile(self, features: np.ndarray) -> np.ndarray:
        """Return for features (B, F) which percentage (B,) of training images lies nearer to the others than these do.

        0 is as near as any, 100 farther than all.
        """
        distance = _distance(_unit(features) @ self._features.T)
        return 100 * np.searchsorted(self._usual, distance) / len(self._usual)

    def nearest(self, features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows (B, count) of the most similar training images and their cosines, nearest first."""
        similar = _unit(features) @ self._features.T
        rows = np.argsort(-similar, axis=1)[:, :count]
        return rows, np.take_along_axis(similar, rows, axis=1)


def _unit(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float32)
    unit: np.ndarray = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return unit


def _distance(similar: np.ndarray) -> np.ndarray:
    """Return the mean distance (B,) to the nearest images, for cosines (B, N)."""
    count = min(_NEAREST, similar.shape[1])
    nearest = -np.partition(-similar, count - 1, axis=1)[:, :count]
    distance: np.ndarray = 1 - np.where(np.isfinite(nearest), nearest, -1).mean(axis=1)
    return distance
