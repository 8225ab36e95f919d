"""Variance components of a difference between classifiers, by moments: training seed, fold and test lesions.

References:
    [1] Bouthillier X et al. Proc MLSys 3, 747–769 (2021) (sources of variance in benchmarks).
    [2] Searle SR, Casella G, McCulloch CE. Variance Components (1992), ch. 4 (moments).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from skinlesion.stats.linear_estimate import LinearEstimate
from skinlesion.stats.recipe import Training, recipe

_MOST_SEEDS = 10_000


@dataclass(frozen=True)
class VarianceBudget:
    """Variance components of a mean difference over S trainings.

    `seed` is the variance between single trainings of a partition on these lesions, `lesion` that of the mean over
    samples of lesions. `total` is the variance of training the recipes again (`recipe`), with its t interval; with a
    single training it is that of the lesions alone.
    """

    difference: float
    seeds: int
    seed: float | None  # None where no partition has two seeds: not estimable
    fold: float | None  # in excess of the lesions' variance; None with a single fold
    lesion: float
    total: float
    low: float
    high: float
    seeds_needed: int | None  # smallest number of seeds whose interval excludes 0; None if there is none


def variance_budget(
    difference: LinearEstimate, trainings: list[Training], by_fold: np.ndarray, *, confidence: float = 0.95
) -> VarianceBudget:
    """Return the variance budget of a difference b − a.

    Args:
        difference: of paired trainings (`paired_contrast`), with `layer_influence`.
        trainings: the partition and the seed of each layer.
        by_fold: (F,) the difference (mean over seeds) for each test fold.

    Raises:
        ValueError: trainings that do not fit the difference.
    """
    recipe_estimate = recipe([1], [difference], [trainings])
    lesion, folds = difference.variance, len(by_fold)
    seed_variance = _within(difference, np.array([repeat for repeat, _ in trainings]))
    fold_variance = max(0.0, float(by_fold.var(ddof=1)) / folds - lesion) if folds > 1 else None
    low, high = difference.interval(confidence) if recipe_estimate is None else recipe_estimate.interval(confidence)
    shared = 0.0 if recipe_estimate is None else recipe_estimate.shared
    needed = _seeds_needed(
        difference.value,
        seed_variance,
        max(lesion - shared, 0.0) + (fold_variance or 0.0),
        difference.degrees,
        confidence,
    )
    return VarianceBudget(
        difference.value,
        len(trainings),
        seed_variance,
        fold_variance,
        lesion,
        lesion if recipe_estimate is None else recipe_estimate.variance,
        low,
        high,
        needed,
    )


def _within(difference: LinearEstimate, repeats: np.ndarray) -> float | None:
    """Return the variance between seeds of the same partition, pooled over partitions."""
    assert difference.by_layer is not None
    groups = [difference.by_layer[repeats == repeat] for repeat in np.unique(repeats)]
    degrees = sum(len(group) - 1 for group in groups)
    return float(sum(((group - group.mean()) ** 2).sum() for group in groups)) / degrees if degrees else None


def _seeds_needed(
    difference: float, seed_variance: float | None, rest: float, rest_degrees: float, confidence: float
) -> int | None:
    """Return the smallest S ≥ 2 with t √(rest + seed_variance / S) < |difference|, t with Satterthwaite's degrees."""
    if seed_variance is None or not rest_degrees > 0:
        return None
    seeds = np.arange(2, _MOST_SEEDS + 1)
    part = seed_variance / seeds
    total = rest + part
    below = rest**2 / rest_degrees + part**2 / (seeds - 1)
    degrees = np.divide(total**2, below, out=np.full(len(seeds), rest_degrees), where=below > 0)
    enough = np.flatnonzero(stdtrit(degrees, (1 + confidence) / 2) * np.sqrt(total) < abs(difference))
    return int(seeds[enough[0]]) if len(enough) else None
