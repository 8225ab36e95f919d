"""One set of lesion resamples for every figure of a model: the same draws as `bootstrap`, whatever the statistic.

Most figures are functions of sums over images (counts, squared errors, benefits): `totals` gives those sums for all
resamples as one product of matrices. Figures that need an order (average precision, risk against coverage) get the
weights of the images, a block of resamples at a time.

References:
    [1] Davison AC, Hinkley DV. Bootstrap Methods and their Application (1997), §2.4 (means), §5.2 (basic and
        percentile limits), §4.4 (p-values with the +1 correction).
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from skinlesion.stats.bootstrap import BLOCK, draw_weights

_EXACT = 2**22  # sums of whole numbers that a resample cannot bring near float32's limit
_ROWS = 512  # resamples multiplied at once


@dataclass(frozen=True)
class Estimate:
    """A figure on the data and on R resamples of its lesions; NaN where it has no value."""

    value: float
    draws: np.ndarray  # (R,)

    def interval(self, confidence: float = 0.95, kind: str = "percentile") -> tuple[float, float]:
        """Return the limits, NaN where the figure or every draw has no value [1].

        - percentile: quantiles of the draws.
        - basic: the same, mirrored at the value. It takes a bias away instead of doubling it, as a calibration error
          needs, whose bins are never quite right by chance; limits can then lie below the value.
        """
        if kind not in ("percentile", "basic"):
            raise ValueError(f"kind {kind!r} is neither 'percentile' nor 'basic'")
        kept = self.draws[~np.isnan(self.draws)]
        if not len(kept) or np.isnan(self.value):
            return float("nan"), float("nan")
        low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
        if kind == "basic":
            low, high = 2 * self.value - high, 2 * self.value - low
        return float(low), float(high)

    def pvalue(self) -> float:
        """Return the two-sided p-value for a true value of 0: 2 · min(1 + #{≤ 0}, 1 + #{≥ 0}) / (R + 1) [1]."""
        kept = self.draws[~np.isnan(self.draws)]
        if not len(kept) or np.isnan(self.value):
            return float("nan")
        tail = min((kept <= 0).sum(), (kept >= 0).sum())
        return min(1.0, 2 * (1 + int(tail)) / (len(kept) + 1))

    def __sub__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.value - other.value, self.draws - other.draws)


def mixture(weights: Sequence[float], estimates: Sequence[Estimate]) -> Estimate:
    """Return Σ weight · estimate, draw by draw; terms of weight 0 may be undefined."""
    kept = [(weight, one) for weight, one in zip(weights, estimates, strict=True) if weight]
    value = sum(weight * one.value for weight, one in kept)
    return Estimate(float(value), np.sum([weight * one.draws for weight, one in kept], axis=0))


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of estimates, one a training seed, draw by draw."""
    return mixture([1 / len(estimates)] * len(estimates), estimates)


class LesionBootstrap:
    """R resamples of the lesions of N images, drawn once; every estimate made from it is paired with every other."""

    def __init__(self, clusters: np.ndarray, *, replicates: int, seed: int) -> None:
        """Draw the resamples.

        Args:
            clusters: (N,) the lesion of each image.
        """
        ids, lesion = np.unique(clusters, return_inverse=True)
        self.lesion = lesion
        self.lesions = len(ids)
        self.replicates = replicates
        children = np.random.SeedSequence(seed).spawn(-(-replicates // BLOCK))
        blocks = [draw_weights(np.random.default_rng(child), [self.lesions]).copy() for child in children]
        self.weights = np.concatenate(blocks, axis=1)[:, :replicates]  # (L, R) float32
        self._sums = csr_array(
            (np.ones(len(lesion)), (lesion, np.arange(len(lesion)))), shape=(self.lesions, len(lesion))
        )

    def totals(self, columns: np.ndarray) -> np.ndarray:
        """Return the sums (R, K) of columns (N, K) over the images of each resample."""
        by_lesion = self._sums @ np.asarray(columns, dtype=float)  # (L, K)
        found = np.empty((self.replicates, by_lesion.shape[1]))
        # Whole numbers add up exactly in float32 below 2²⁴, in half the time.
        whole = (by_lesion == np.rint(by_lesion)).all(axis=0) & (np.abs(by_lesion).sum(axis=0) < _EXACT)
        for chosen, kind in ((whole, np.float32), (~whole, np.float64)):
            if chosen.any():
                part = by_lesion[:, chosen].astype(kind)
                for start in range(0, self.replicates, _ROWS):
                    rows = slice(start, start + _ROWS)
                    found[rows, chosen] = self.weights[:, rows].T.astype(kind, copy=False) @ part
        return found

    def over_images(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return `statistic` (R, …) of image weights, which it is given as (N, B) float32 and answers as (B, …)."""
        return self._evaluate(lambda block: statistic(block[self.lesion]))

    def over_lesions(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return `statistic` (R, …) of lesion weights, which it is given as (L, B) float32 and answers as (B, …)."""
        return self._evaluate(statistic)

    def _evaluate(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        blocks = (self.weights[:, start : start + BLOCK] for start in range(0, self.replicates, BLOCK))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.concatenate(list(pool.map(lambda block: statistic(np.ascontiguousarray(block)), blocks)))
