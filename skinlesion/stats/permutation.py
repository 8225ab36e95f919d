"""The permutation test: if two models are alike, swapping their predictions on a lesion changes nothing.

References:
    [1] Good P. Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), ch. 3.
    [2] Phipson B, Smyth GK. Stat Appl Genet Mol Biol 9, 39 (2010) (p-values are never 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skinlesion.stats.resampling import Schema, check_predictions, plan_layer

_BLOCK = 64


@dataclass(frozen=True)
class PermutationResult:
    """metric(b) − metric(a) and the two-sided p-value over random swaps of whole lesions."""

    difference: float
    pvalue: float
    permutations: int


def permutation_test(
    labels: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    clusters: np.ndarray,
    metrics: Sequence[str],
    schema: Schema,
    *,
    permutations: int = 2000,
    seed: int = 0,
) -> dict[str, PermutationResult]:
    """Return the lesion-by-lesion swap test of two models, for each metric.

    Nothing is assumed but that lesions are independent of one another. Ranks are compared across the two models, so
    for AUCs the null hypothesis is that their scores are exchangeable, calibration included.

    Args:
        labels: (N,) positions of the true classes.
        a, b: (N, C) probabilities.
        clusters: (N,) the lesion of each image.

    Raises:
        ValueError: input that `check_predictions` refuses, or a metric that is undefined on it.
    """
    check_predictions(labels, [a[None], b[None]], clusters, metrics, schema)
    ids, lesion = np.unique(clusters, return_inverse=True)
    lesions = len(ids)
    # Both models' predictions of every lesion side by side, as 2 L lesions: a weighting picks one of the two.
    plan = plan_layer(
        np.tile(labels, 2), np.concatenate([a, b]), np.r_[lesion, lesion + lesions], 2 * lesions, metrics, schema
    )

    def differences(keep: np.ndarray) -> np.ndarray:  # (L, R) in 0/1: 1 leaves a lesion's predictions where they are
        mine, theirs = np.vstack([keep, 1 - keep]), np.vstack([1 - keep, keep])
        return np.asarray(plan.evaluate(theirs) - plan.evaluate(mine))  # (R, K)

    observed = differences(np.ones((lesions, 1), np.float32))[0]
    for k in np.flatnonzero(np.isnan(observed)).tolist():
        raise ValueError(f"{metrics[k]} is undefined on these data: a class is missing")
    rng, as_far, done = np.random.default_rng(seed), np.zeros(len(metrics), dtype=int), 0
    while done < permutations:
        size = min(_BLOCK, permutations - done)
        swapped = differences(rng.integers(0, 2, (lesions, size)).astype(np.float32))
        # Sums of floats in another order differ in the last digits: equal counts as at least as far.
        as_far += (np.abs(swapped) >= np.abs(observed) - 1e-12).sum(axis=0)
        done += size
    return {
        metric: PermutationResult(float(observed[k]), float((1 + as_far[k]) / (1 + permutations)), permutations)
        for k, metric in enumerate(metrics)
    }
