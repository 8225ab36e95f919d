"""The lesion-cluster bootstrap of any statistic of one model, on the same resamples as `bootstrap`.

Most statistics are functions of sums over images (counts, squared errors, benefits): `totals` computes those sums for
all resamples as one matrix product. Statistics of the order of images (average precision, risk–coverage curves) receive
the image weights, a block of resamples at a time.

References:
    [1] Davison AC, Hinkley DV. Bootstrap Methods and their Application (1997), §2.4 (means), §5.2 (basic and
        percentile limits), §4.4 (p-values with the +1 correction).
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array, issparse

from skinlesion.stats.bootstrap import BLOCK, draw_weights, enough_replicates

_EXACT = 2**22  # integer sums below this stay exact in float32 in every resample
_LESIONS = 8192  # multiplied at once: their weights are converted to float64
_COLUMNS = 128  # columns summed at once


@dataclass(frozen=True)
class Estimate:
    """A statistic on the data and on R resamples of the lesions; NaN where undefined."""

    value: float
    draws: np.ndarray  # (R,)

    def interval(self, confidence: float = 0.95, kind: str = "percentile") -> tuple[float, float]:
        """Return the confidence limits, NaN if the value or every draw is undefined [1].

        - percentile: quantiles of the draws.
        - basic: the same, reflected about the value. It corrects a bias of the resamples instead of doubling it, as a
          calibration error needs, whose resamples are biased upwards; both limits can lie below the value.
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
    """Return the weighted sum of estimates, draw by draw; terms of weight 0 may be undefined."""
    terms = [(weight, estimate) for weight, estimate in zip(weights, estimates, strict=True) if weight]
    value = sum(weight * estimate.value for weight, estimate in terms)
    return Estimate(float(value), np.sum([weight * estimate.draws for weight, estimate in terms], axis=0))


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of estimates (one per training seed), draw by draw."""
    return mixture([1 / len(estimates)] * len(estimates), estimates)


class LesionBootstrap:
    """R resamples of the lesions of N images, drawn once, so that all estimates made from it are paired."""

    def __init__(self, clusters: np.ndarray, *, replicates: int, seed: int) -> None:
        """Draw the resamples.

        Args:
            clusters: (N,) the lesion of each image.
            replicates: R, or fewer of many images (`enough_replicates`).
        """
        replicates = enough_replicates(replicates, len(clusters))
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

    def totals(self, columns: np.ndarray | csc_array) -> np.ndarray:
        """Return the sums (R, K) of columns (N, K) over the images of each resample."""
        if issparse(columns):
            return self._sparse_totals(self._sums @ columns)
        sums = np.empty((self.replicates, columns.shape[1]))
        for start in range(0, columns.shape[1], _COLUMNS):
            chosen = slice(start, start + _COLUMNS)
            sums[:, chosen] = self._dense_totals(np.asarray(self._sums @ columns[:, chosen], dtype=float))
        return sums

    def _sparse_totals(self, by_lesion: Any) -> np.ndarray:
        """Return the sums (R, K) of the sparse sums of lesions (L, K)."""
        turned = by_lesion.T.tocsr()
        sums = np.empty((self.replicates, by_lesion.shape[1]))
        for start in range(0, self.replicates, BLOCK):
            rows = slice(start, start + BLOCK)
            sums[rows] = (turned @ self.weights[:, rows].astype(float)).T
        return sums

    def _dense_totals(self, by_lesion: np.ndarray) -> np.ndarray:
        """Return the sums (R, K) of the sums of lesions (L, K)."""
        sums = np.zeros((self.replicates, by_lesion.shape[1]))
        # Sums of integers are exact in float32 below 2²⁴, and take half the time.
        whole = (by_lesion == np.rint(by_lesion)).all(axis=0) & (np.abs(by_lesion).sum(axis=0) < _EXACT)
        for chosen, kind in ((whole, np.float32), (~whole, np.float64)):
            if chosen.any():
                part: Any = by_lesion[:, chosen].astype(kind)
                for start in range(0, self.lesions, _LESIONS):
                    rows = slice(start, start + _LESIONS)
                    sums[:, chosen] += self.weights[rows].T.astype(kind, copy=False) @ part[rows]
        return sums

    def over_images(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return (R, …): `statistic` maps image weights (N, B) float32 of B resamples to values (B, …)."""
        return self._evaluate(lambda block: statistic(block[self.lesion]))

    def over_lesions(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return (R, …): `statistic` maps lesion weights (L, B) float32 of B resamples to values (B, …)."""
        return self._evaluate(statistic)

    def _evaluate(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        blocks = (self.weights[:, start : start + BLOCK] for start in range(0, self.replicates, BLOCK))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.concatenate(list(pool.map(lambda block: statistic(np.ascontiguousarray(block)), blocks)))
