"""Photographs that may show one lesion: a perceptual hash finds them, the cosine of frozen features confirms.

The hash is cheap and forgiving and knows all eight flips and quarter turns. The cosine is taken after whitening
(principal components of the data set itself, each brought to unit variance): plain cosines are dominated by what all
dermoscopic images share. Its threshold is calibrated on pairs known to be of one lesion and pairs of different ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from scipy.fft import dctn

_SIDE = 32  # of the grey image that is transformed
_LOW = 8  # lowest frequencies along each side: 64 bits
_MOST_COMPONENTS = 256
_IMAGES_PER_COMPONENT = 4  # fewer would whiten noise
_BLOCK = 512

#: Cosines below this are not looked at: far below any threshold worth having.
FLOOR = 0.2


def perceptual_hashes(images: np.ndarray) -> np.ndarray:
    """Return 64-bit hashes (8, N) uint64 of images (N, S, S, 3) uint8, one for each flip and quarter turn.

    pHash: the 8 × 8 lowest frequencies of the cosine transform of a 32 × 32 grey image, each bit saying whether one
    lies above their median.
    """
    small = np.empty((len(images), _SIDE, _SIDE), dtype=np.float32)
    for row in range(len(images)):
        grey = cv2.cvtColor(np.asarray(images[row]), cv2.COLOR_RGB2GRAY)
        small[row] = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.stack([_hash(one) for one in _d4(small)])


def _d4(grey: np.ndarray) -> Iterator[np.ndarray]:
    for turns in range(4):
        turned = np.rot90(grey, turns, axes=(1, 2))
        yield turned
        yield turned[:, :, ::-1]


def _hash(grey: np.ndarray) -> np.ndarray:
    low = dctn(grey, axes=(1, 2), norm="ortho")[:, :_LOW, :_LOW].reshape(len(grey), -1)  # (N, 64)
    above = low > np.median(low[:, 1:], axis=1, keepdims=True)  # the mean brightness takes no part in the median
    hashes: np.ndarray = np.packbits(above, axis=1).view(np.uint64)[:, 0]
    return hashes


@dataclass(frozen=True)
class Whitening:
    """A data set's principal components, scaled to unit variance."""

    mean: np.ndarray  # (W,)
    axes: np.ndarray  # (W, K)

    def unit(self, features: np.ndarray) -> np.ndarray:
        """Return whitened features (N, K) float32 of features (N, W), rows of length one."""
        white = (np.asarray(features, dtype=np.float32) - self.mean) @ self.axes
        unit: np.ndarray = white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12)
        return unit


def fit_whitening(features: np.ndarray) -> Whitening:
    """Return the whitening of features (N, W): at most 256 components, and no more than N / 4."""
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
    """Return pairs `first, second, hash_distance, cosine` with a hash no further than `distance` and cosine ≥ FLOOR.

    Args:
        hashes: (8, N) of perceptual_hashes, for `first`.
        unit: (N, K) whitened features of unit length, for `first`.
        other_hashes: (8, M) for `second`; None compares a set with itself, each pair once.
        other_unit: (M, K) for `second`.
        distance: bits of 64 that may differ in the most favourable of eight orientations.
    """
    within = other_hashes is None
    second_hashes = hashes if other_hashes is None else other_hashes
    found = []
    for start in range(0, unit.shape[0], _BLOCK):
        cosine = unit[start : start + _BLOCK] @ other_unit.T  # (B, M)
        if within:
            rows = np.arange(start, start + len(cosine))
            cosine[rows[:, None] >= np.arange(cosine.shape[1])[None, :]] = -1
        first, second = np.nonzero(cosine >= FLOOR)
        # Turned either way: resizing makes a turn and its inverse differ by some bits.
        there = np.bitwise_count(hashes[0, start + first][None] ^ second_hashes[:, second]).min(axis=0)
        back = np.bitwise_count(hashes[:, start + first] ^ second_hashes[0, second][None]).min(axis=0)
        bits = np.minimum(there, back)
        near = bits <= distance
        found.append(
            pd.DataFrame(
                {
                    "first": (start + first)[near],
                    "second": second[near],
                    "hash_distance": bits[near].astype(int),
                    "cosine": cosine[first[near], second[near]].astype(float),
                }
            )
        )
    return pd.concat(found, ignore_index=True)


@dataclass(frozen=True)
class Calibration:
    """A threshold on the cosine and what it is worth."""

    threshold: float
    false_positive_rate: float  # share of different-lesion pairs at or above the threshold
    different_pairs: int
    sensitivity: float  # share of same-lesion pairs at or above the threshold
    same_pairs: int


def calibrate(candidates: pd.DataFrame, lesions: np.ndarray, groups: np.ndarray, rate: float) -> Calibration:
    """Return the lowest threshold at which at most a share `rate` of the pairs of different lesions passes.

    Some of these do show one lesion without anyone knowing, so the rate is an upper bound.

    Args:
        candidates: pairs of candidate_pairs of a set with itself; a pair that is not among them passes no threshold.
        lesions: (N,) ids as published: pairs that share one are the same-lesion pairs.
        groups: (N,) ids with lesions joined that are known to be one: pairs that differ here are different lesions.
    """
    same_pairs, within_groups = _pairs_within(lesions), _pairs_within(groups)
    different_pairs = len(groups) * (len(groups) - 1) // 2 - within_groups
    first, second = candidates["first"].to_numpy(), candidates["second"].to_numpy()
    cosine = candidates["cosine"].to_numpy()
    different = np.sort(cosine[groups[first] != groups[second]])[::-1]
    same = cosine[lesions[first] == lesions[second]]
    allowed = int(rate * different_pairs)
    # Just above the first pair that is one too many; FLOOR where there are not that many.
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
