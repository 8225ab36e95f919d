"""Variance components of a difference between classifiers: training seed, fold and test lesions.

References:
    [1] Bouthillier X et al. Proc MLSys 3, 747–769 (2021) (sources of variance in benchmarks).
    [2] Davison AC, Hinkley DV. Bootstrap Methods and their Application (1997), §3.8 (hierarchical resampling).
"""

import math
from dataclasses import dataclass

import numpy as np

_CRITICAL = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class VarianceBudget:
    """Variance components of a mean difference over S training seeds.

    `seed` is the variance between single trainings, `seed / seeds` its part in the mean; `total` is the variance of the
    hierarchical bootstrap, which resamples seeds and lesions together.
    """

    difference: float
    seeds: int
    seed: float | None  # None with a single seed: not estimable
    fold: float | None  # in excess of the lesions' variance; None with a single fold
    lesion: float
    total: float
    low: float
    high: float
    seeds_needed: int | None  # smallest number of seeds whose 95 % interval excludes 0; None if there is none


def variance_budget(
    by_seed: np.ndarray, replicates: np.ndarray, by_fold: np.ndarray, *, confidence: float = 0.95, seed: int = 0
) -> VarianceBudget:
    """Return the variance budget of a difference b − a.

    Args:
        by_seed: (S,) the difference for each training seed, on all test lesions.
        replicates: (R, S) the same on R resamples of the lesions.
        by_fold: (F,) the difference (mean over seeds) for each test fold.

    Raises:
        ValueError: shapes that do not match.
    """
    if replicates.ndim != 2 or replicates.shape[1] != len(by_seed):
        raise ValueError(f"replicates {replicates.shape} do not fit {len(by_seed)} seeds")
    seeds, folds = len(by_seed), len(by_fold)
    difference = float(by_seed.mean())
    kept = replicates[~np.isnan(replicates).any(axis=1)]
    lesion = float(kept.mean(axis=1).var(ddof=1))
    drawn = np.random.default_rng(seed).integers(0, seeds, (len(kept), seeds))
    hierarchical = np.take_along_axis(kept, drawn, axis=1).mean(axis=1)  # (R,) lesions and seeds resampled together
    low, high = np.quantile(hierarchical, [(1 - confidence) / 2, (1 + confidence) / 2])
    of_seed = float(by_seed.var(ddof=1)) if seeds > 1 else None
    of_fold = max(0.0, float(by_fold.var(ddof=1)) / folds - lesion) if folds > 1 else None
    needed = _seeds_needed(difference, of_seed, lesion + (of_fold or 0.0))
    return VarianceBudget(
        difference, seeds, of_seed, of_fold, lesion, float(hierarchical.var(ddof=1)), float(low), float(high), needed
    )


def _seeds_needed(difference: float, of_seed: float | None, rest: float) -> int | None:
    """Return the smallest S with 1.96 √(rest + of_seed / S) < |difference|."""
    room = (difference / _CRITICAL) ** 2 - rest
    if of_seed is None or room <= 0:
        return None
    return max(1, math.floor(of_seed / room) + 1)
