"""The lesion-cluster bootstrap of any statistic of one model, on the same resamples as `bootstrap`.

Most statistics are functions of sums over images (counts, squared errors, benefits): `totals` computes those sums for
all resamples as one matrix product. Statistics of the order of images (average precision, risk–coverage curves) receive
the units' weights, a block of resamples at a time.

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
from scipy.sparse import csc_array

from skinlesion.stats.bootstrap import BLOCK, draw_weights, enough_replicates
from skinlesion.stats.resampling import resampled_units

_EXACT = 2**22  # integer sums below this stay exact in float32 in every resample
_UNITS = 8192  # multiplied at once: their weights are converted to float64


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
        finite_draws = self.draws[~np.isnan(self.draws)]
        if not len(finite_draws) or np.isnan(self.value):
            return float("nan"), float("nan")
        low, high = np.quantile(finite_draws, [(1 - confidence) / 2, (1 + confidence) / 2])
        if kind == "basic":
            low, high = 2 * self.value - high, 2 * self.value - low
        return float(low), float(high)

    def pvalue(self) -> float:
        """Return the two-sided p-value for a true value of 0: 2 · min(1 + #{≤ 0}, 1 + #{≥ 0}) / (R + 1) [1]."""
        finite_draws = self.draws[~np.isnan(self.draws)]
        if not len(finite_draws) or np.isnan(self.value):
            return float("nan")
        tail = min((finite_draws <= 0).sum(), (finite_draws >= 0).sum())
        return min(1.0, 2 * (1 + int(tail)) / (len(finite_draws) + 1))

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
            clusters: (N,) the lesion of each image. Of many lesions, groups are resampled (`resampled_units`).
            replicates: R, or fewer of many images (`enough_replicates`).
        """
        replicates = enough_replicates(replicates, len(clusters))
        ids, lesion = np.unique(clusters, return_inverse=True)
        self.lesion = lesion
        self.lesions = len(ids)
        self.unit = resampled_units(lesion, seed)  # (N,)
        self.units = int(self.unit.max()) + 1
        self.replicates = replicates
        children = np.random.SeedSequence(seed).spawn(-(-replicates // BLOCK))
        blocks = [draw_weights(np.random.default_rng(child), [self.units]).copy() for child in children]
        self.weights = np.concatenate(blocks, axis=1)[:, :replicates]  # (U, R) float32

    def by_unit(self, columns: np.ndarray | csc_array) -> np.ndarray:
        """Return the sums (U, K) of columns (N, K) over the images of each unit."""
        if isinstance(columns, csc_array):
            places = np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr)) * self.units
            size = columns.shape[1] * self.units
            return np.bincount(places + self.unit[columns.indices], columns.data, size).reshape(-1, self.units).T
        return np.stack([np.bincount(self.unit, column, self.units) for column in columns.T], axis=1)

    def totals(self, columns: np.ndarray | csc_array) -> np.ndarray:
        """Return the sums (R, K) of columns (N, K) over the images of each resample."""
        return self.totals_of_units(self.by_unit(columns))

    def totals_of_units(self, sums_of_units: np.ndarray) -> np.ndarray:
        """Return the sums (R, K) over the units of each resample of what `by_unit` returned (U, K)."""
        sums = np.zeros((self.replicates, sums_of_units.shape[1]))
        # Sums of integers are exact in float32 below 2²⁴, and take half the time.
        whole = (sums_of_units == np.rint(sums_of_units)).all(axis=0) & (np.abs(sums_of_units).sum(axis=0) < _EXACT)
        for chosen, kind in ((whole, np.float32), (~whole, np.float64)):
            if chosen.any():
                part: Any = sums_of_units[:, chosen].astype(kind)
                for start in range(0, self.units, _UNITS):
                    rows = slice(start, start + _UNITS)
                    sums[:, chosen] += self.weights[rows].T.astype(kind, copy=False) @ part[rows]
        return sums

    def over_units(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return (R, …): `statistic` maps unit weights (U, B) float32 of B resamples to values (B, …)."""
        blocks = (self.weights[:, start : start + BLOCK] for start in range(0, self.replicates, BLOCK))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.concatenate(list(pool.map(lambda block: statistic(np.ascontiguousarray(block)), blocks)))
