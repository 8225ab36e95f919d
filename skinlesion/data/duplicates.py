"""Duplicate images: equal files or pixels, and near-duplicates that may show the same lesion.

A perceptual hash proposes near-duplicates: it is cheap and tolerant, and compares all eight flips and quarter turns.
The cosine of frozen features, after whitening (principal components of the data set, scaled to unit variance),
confirms them: without whitening, cosines are dominated by what all dermoscopic images share. The threshold of the
cosine is calibrated on pairs known to show the same lesion and pairs of different lesions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.fft import dctn

from skinlesion.data.frames import SquareImages

_SIDE = 32  # of the grey image that is transformed
_LOW = 8  # lowest frequencies along each side: 64 bits
_MOST_COMPONENTS = 256
_IMAGES_PER_COMPONENT = 4  # with fewer, whitening amplifies noise
_BLOCK = 512

#: Pairs with a lower cosine are ignored: far below any useful threshold.
FLOOR = 0.2

#: Column of files.csv → what two images share if they agree in it.
EQUALITIES = {"sha256": "bytes", "pixels_sha256": "pixels"}


def exact_duplicates(files: pd.DataFrame) -> pd.DataFrame:
    """Return pairs `first, second, equal`: every repeated image with the first image that equals it.

    Args:
        files: `image_id, sha256, pixels_sha256`, one row per image. `equal` is "bytes" if the files are equal, else
            "pixels".
    """
    pairs: dict[tuple[str, str], str] = {}
    for column, equal in EQUALITIES.items():
        first = files.groupby(column, sort=False)["image_id"].transform("first")
        repeats = first != files["image_id"]
        for pair in zip(first[repeats], files.loc[repeats, "image_id"], strict=True):
            pairs.setdefault(pair, equal)
    rows = [(first, second, equal) for (first, second), equal in sorted(pairs.items())]
    return pd.DataFrame(rows, columns=["first", "second", "equal"])


def across_parts(pairs: pd.DataFrame, part_of: Mapping[str, int]) -> pd.DataFrame:
    """Return the pairs (columns `first, second`) whose images lie in different parts."""
    differ = pairs["first"].map(part_of) != pairs["second"].map(part_of)
    return pairs[differ]


def perceptual_hashes(images: np.ndarray | SquareImages) -> np.ndarray:
    """Return 64-bit hashes (8, N) uint64 of images (N, S, S, 3) uint8, one for each flip and quarter turn.

    pHash: of the 8 × 8 lowest frequencies of the cosine transform of a 32 × 32 grey image, each bit says whether the
    coefficient exceeds their median.
    """
    import cv2  # here: `split` reads checksums alone

    small = np.empty((len(images), _SIDE, _SIDE), dtype=np.float32)
    for row in range(len(images)):
        grey = cv2.cvtColor(np.asarray(images[row]), cv2.COLOR_RGB2GRAY)
        small[row] = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.stack([_hash(turned) for turned in _d4(small)])


def _d4(grey: np.ndarray) -> Iterator[np.ndarray]:
    for turns in range(4):
        turned = np.rot90(grey, turns, axes=(1, 2))
        yield turned
        yield turned[:, :, ::-1]


def _hash(grey: np.ndarray) -> np.ndarray:
    low = dctn(grey, axes=(1, 2), norm="ortho")[:, :_LOW, :_LOW].reshape(len(grey), -1)  # (N, 64)
    above = low > np.median(low[:, 1:], axis=1, keepdims=True)  # without the mean brightness
    hashes: np.ndarray = np.packbits(above, axis=1).view(np.uint64)[:, 0]
    return hashes


@dataclass(frozen=True)
class Whitening:
    """A data set's principal components, scaled to unit variance."""

    mean: np.ndarray  # (W,)
    axes: np.ndarray  # (W, K)

    def unit(self, features: np.ndarray) -> np.ndarray:
        """Return the whitened features (N, K) float32 of features (N, W), rows scaled to unit length."""
        white = (np.asarray(features, dtype=np.float32) - self.mean) @ self.axes
        unit: np.ndarray = white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12)
        return unit


def fit_whitening(features: np.ndarray) -> Whitening:
    """Return the whitening of features (N, W), with at most 256 and at most N / 4 components."""
    values = np.asarray(features, dtype=np.float32)
    mean = values.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(values - mean, rowvar=False).astype(np.float64))
    count = max(2, min(_MOST_COMPONENTS, len(values) // _IMAGES_PER_COMPONENT))
    largest = np.argsort(variances)[::-1][:count]
    largest = largest[variances[largest] > 1e-12 * variances.max()]
    return Whitening(mean, (axes[:, largest] / np.sqrt(variances[largest])).astype(np.float32))


def candidate_pairs(
    hashes: np.ndarray, unit: np.ndarray, other_hashes: np.ndarray | None, other_unit: np.ndarray, distance: int
) -> pd.DataFrame:
    """Return pairs `first, second, hash_distance, cosine` with hash distance ≤ `distance` and cosine ≥ FLOOR.

    Args:
        hashes: (8, N) from perceptual_hashes, for `first`.
        unit: (N, K) whitened features of unit length, for `first`.
        other_hashes: (8, M) for `second`; None compares a set with itself, each pair once.
        other_unit: (M, K) for `second`.
        distance: number of the 64 bits that may differ in the best of the eight orientations.
    """
    within = other_hashes is None
    second_hashes = hashes if other_hashes is None else other_hashes
    blocks = []
    for start in range(0, unit.shape[0], _BLOCK):
        cosine = unit[start : start + _BLOCK] @ other_unit.T  # (B, M)
        if within:
            rows = np.arange(start, start + len(cosine))
            cosine[rows[:, None] >= np.arange(cosine.shape[1])[None, :]] = -1
        first, second = np.nonzero(cosine >= FLOOR)
        # Turning either image: by the resizing, the two distances can differ by some bits.
        forth = np.bitwise_count(hashes[0, start + first][None] ^ second_hashes[:, second]).min(axis=0)
        back = np.bitwise_count(hashes[:, start + first] ^ second_hashes[0, second][None]).min(axis=0)
        bits = np.minimum(forth, back)
        near = bits <= distance
        blocks.append(
            pd.DataFrame(
                {
                    # Small integers: of 100,000 images there may be tens of millions of pairs.
                    "first": (start + first)[near].astype(np.int32),
                    "second": second[near].astype(np.int32),
                    "hash_distance": bits[near].astype(np.int8),
                    "cosine": cosine[first[near], second[near]].astype(float),
                }
            )
        )
    return pd.concat(blocks, ignore_index=True)


@dataclass(frozen=True)
class Calibration:
    """A threshold on the cosine with its error rates."""

    threshold: float
    false_positive_rate: float  # fraction of different-lesion pairs at or above the threshold
    different_pairs: int
    sensitivity: float  # fraction of same-lesion pairs at or above the threshold
    same_pairs: int


def calibrate(candidates: pd.DataFrame, lesions: np.ndarray, rate: float) -> Calibration:
    """Return the lowest threshold that at most a fraction `rate` of the pairs of different lesions reaches.

    Some of these pairs show the same lesion without anyone knowing, so the rate is an upper bound.

    Args:
        candidates: from candidate_pairs of a set with itself; any other pair reaches no threshold.
        lesions: (N,) ids, those of lesions known to be the same joined.
    """
    same_pairs = _pairs_within(lesions)
    different_pairs = len(lesions) * (len(lesions) - 1) // 2 - same_pairs
    first, second = candidates["first"].to_numpy(), candidates["second"].to_numpy()
    cosine = candidates["cosine"].to_numpy()
    different = np.sort(cosine[lesions[first] != lesions[second]])[::-1]
    same = cosine[lesions[first] == lesions[second]]
    allowed = int(rate * different_pairs)
    # Just above the first pair too many; FLOOR if there are not that many.
    threshold = float(np.nextafter(different[allowed], 2)) if len(different) > allowed else FLOOR
    return Calibration(
        threshold,
        float((different >= threshold).sum() / different_pairs) if different_pairs else 0.0,
        different_pairs,
        float((same >= threshold).sum() / same_pairs) if same_pairs else 0.0,
        same_pairs,
    )


def _pairs_within(names: np.ndarray) -> int:
    counts = np.unique(names, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
