"""The paired permutation test: under the null hypothesis the two models' predictions on a lesion are exchangeable.

References:
    [1] Good P. Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), ch. 3.
    [2] Phipson B, Smyth GK. Stat Appl Genet Mol Biol 9, 39 (2010) (p-values are never 0).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from skinlesion.stats.counts import Counts
from skinlesion.stats.resampling import LayerPlan, Schema, check_predictions, plan_layer, resampled_units
from skinlesion.stats.weighted_auc import weighted_auc

#: Permutations per child of the seed: fixed, so that the number of threads never changes a result.
BLOCK = 128


@dataclass(frozen=True)
class PermutationResult:
    """metric(b) − metric(a), means over trainings, and its two-sided p-value over random swaps of whole lesions."""

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
    threads: int | None = None,
) -> dict[str, PermutationResult]:
    """Return for each metric the permutation test of two models that swaps their predictions lesion by lesion.

    A lesion is swapped in all trainings together: layer s of a with layer s of b. Lesions are assumed independent,
    nothing else; trainings are as they are. A swap mixes the scores of both models in one ranking, so for AUCs the null
    hypothesis is that their scores are exchangeable, including their calibration.

    Args:
        labels: (N,) positions in `schema.class_names`.
        a, b: (S, N, C) probabilities of as many trainings each, or (N, C) of one.
        clusters: (N,) the lesion of each image. Of many lesions, groups are swapped (`resampled_units`).
        threads: number of threads; all cores by default. Only `seed` changes the result.

    Raises:
        ValueError: input that `check_predictions` refuses, numbers of trainings that differ, or a metric that is
            undefined on it.
    """
    a, b = (layers[None] if layers.ndim == 2 else layers for layers in (np.asarray(a), np.asarray(b)))
    check_predictions(labels, [a, b], clusters, metrics, schema)
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} trainings and b {len(b)}: a swap needs as many")
    lesion = resampled_units(clusters, seed)
    lesions = int(lesion.max()) + 1
    layers = [_PairedLayer(labels, *pair, lesion, lesions, metrics, schema) for pair in zip(a, b, strict=True)]

    def differences(keep: np.ndarray) -> np.ndarray:  # (R, L) of 0 and 1: 1 does not swap a lesion's predictions
        return np.asarray(np.mean([layer.differences(keep) for layer in layers], axis=0))  # (R, K)

    observed = differences(np.ones((1, lesions), np.float32))[0]
    for k in np.flatnonzero(np.isnan(observed)).tolist():
        raise ValueError(f"{metrics[k]} is undefined on these data: a class is missing")
    children = np.random.SeedSequence(seed).spawn(-(-permutations // BLOCK))

    def extreme(block: int) -> np.ndarray:
        swapped = differences(draw_swaps(children[block], lesions)[: permutations - block * BLOCK])
        # Float sums in another order differ in the last digits: a tie counts as at least as extreme. So does a
        # permutation without value: it is no evidence.
        return np.asarray((~(np.abs(swapped) < np.abs(observed) - 1e-12)).sum(axis=0))

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        total = sum(pool.map(extreme, range(len(children))), np.zeros(len(metrics), dtype=int))
    return {
        metric: PermutationResult(float(observed[k]), float((1 + total[k]) / (1 + permutations)), permutations)
        for k, metric in enumerate(metrics)
    }


def draw_swaps(seed: np.random.SeedSequence, lesions: int) -> np.ndarray:
    """Return (BLOCK, L) float32: whether each lesion keeps its predictions, with probability one half."""
    row = -(-lesions // 8)  # bytes: a random bit for each lesion
    drawn = np.frombuffer(np.random.default_rng(seed).bytes(BLOCK * row), np.uint8).reshape(BLOCK, row)
    return np.unpackbits(drawn, axis=1, count=lesions).astype(np.float32)


class _PairedLayer:
    """One layer of both models, prepared for swaps of lesions.

    A swap exchanges what a lesion adds to the counts of both models: total counts are those of b and, for each lesion
    that keeps its predictions, the difference. For AUCs the predictions of both are stacked as 2 L lesions, of which
    weights select one of the two.
    """

    def __init__(
        self,
        labels: np.ndarray,
        a: np.ndarray,
        b: np.ndarray,
        lesion: np.ndarray,
        lesions: int,
        metrics: Sequence[str],
        schema: Schema,
    ) -> None:
        both = np.r_[lesion, lesion + lesions]
        self.plan: LayerPlan = plan_layer(
            np.tile(labels, 2), np.concatenate([a, b]), both, 2 * lesions, metrics, schema
        )
        first, second = self.plan.counted[:lesions], self.plan.counted[lesions:]
        self.both, self.second = (first + second).sum(axis=0), second.sum(axis=0)
        difference = first - second
        self.lesions = np.flatnonzero(difference.any(axis=1))  # all others count alike for both
        self.columns = np.flatnonzero(difference.any(axis=0))
        self.difference = difference[np.ix_(self.lesions, self.columns)]

    def differences(self, keep: np.ndarray) -> np.ndarray:
        """Return metric(b) − metric(a) (R, K) after swapping the lesions for which `keep` (R, L) is 0."""
        counts_a = np.repeat(self.second[None], len(keep), axis=0)
        counts_a[:, self.columns] += keep[:, self.lesions] @ self.difference  # exact in float32 below 2²⁴
        tables = counts_a, self.both - counts_a
        aucs: list[dict[str, np.ndarray]] = [{}, {}]
        if self.plan.aucs:
            stacked = np.concatenate([keep, 1 - keep], axis=1)
            for position, weights in enumerate((stacked, 1 - stacked)):
                columns = np.ascontiguousarray(weights.T)
                aucs[position] = {name: weighted_auc(auc, columns) for name, auc in self.plan.aucs.items()}
        values = [self._metrics(table, auc) for table, auc in zip(tables, aucs, strict=True)]
        return values[1] - values[0]

    def _metrics(self, table: np.ndarray, aucs: dict[str, np.ndarray]) -> np.ndarray:
        counts = Counts(*np.split(table, 3, axis=1))
        return np.stack([self.plan.metric_values(metric, counts, aucs) for metric in self.plan.metrics], axis=1)
