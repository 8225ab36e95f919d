"""The paired permutation test: under the null hypothesis the two models' predictions on a lesion are exchangeable.

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
    """metric(b) − metric(a) and its two-sided p-value over random swaps of whole lesions."""

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
    """Return for each metric the permutation test of two models that swaps their predictions lesion by lesion.

    Lesions are assumed independent, nothing else. A swap mixes the scores of both models in one ranking, so for AUCs
    the null hypothesis is that their scores are exchangeable, including their calibration.

    Args:
        labels: (N,) positions in `schema.class_names`.
        a, b: (N, C) probabilities.
        clusters: (N,) the lesion of each image.

    Raises:
        ValueError: input that `check_predictions` refuses, or a metric that is undefined on it.
    """
    check_predictions(labels, [a[None], b[None]], clusters, metrics, schema)
    ids, lesion = np.unique(clusters, return_inverse=True)
    lesions = len(ids)
    # The predictions of both models stacked as 2 L lesions: weights select one of the two for each lesion.
    plan = plan_layer(
        np.tile(labels, 2), np.concatenate([a, b]), np.r_[lesion, lesion + lesions], 2 * lesions, metrics, schema
    )

    def differences(keep: np.ndarray) -> np.ndarray:  # (L, R) of 0 and 1: 1 does not swap a lesion's predictions
        weights_a, weights_b = np.vstack([keep, 1 - keep]), np.vstack([1 - keep, keep])
        return np.asarray(plan.evaluate(weights_b) - plan.evaluate(weights_a))  # (R, K)

    observed = differences(np.ones((lesions, 1), np.float32))[0]
    for k in np.flatnonzero(np.isnan(observed)).tolist():
        raise ValueError(f"{metrics[k]} is undefined on these data: a class is missing")
    rng, extreme, done = np.random.default_rng(seed), np.zeros(len(metrics), dtype=int), 0
    while done < permutations:
        size = min(_BLOCK, permutations - done)
        swapped = differences(rng.integers(0, 2, (lesions, size)).astype(np.float32))
        # Float sums in another order differ in the last digits: a tie counts as at least as extreme.
        extreme += (np.abs(swapped) >= np.abs(observed) - 1e-12).sum(axis=0)
        done += size
    return {
        metric: PermutationResult(float(observed[k]), float((1 + extreme[k]) / (1 + permutations)), permutations)
        for k, metric in enumerate(metrics)
    }
