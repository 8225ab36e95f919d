"""The paired cluster bootstrap: lesions are drawn with replacement, all models are judged on the same draw.

References:
    [1] Efron B, Tibshirani RJ. An Introduction to the Bootstrap (1993), ch. 13 (percentile interval).
    [2] Davison AC, Hinkley DV. Bootstrap Methods and their Application (1997), §3.8 (clusters), §4.4 (p-values
        with the +1 correction).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from skinlesion.stats import counts as count_metrics
from skinlesion.stats.counts import Counts, lesion_counts
from skinlesion.stats.weighted_auc import AucPlan, plan_auc, weighted_auc

#: Replicates drawn from one child of the seed: fixed, so that neither chunks nor threads change a result.
BLOCK = 64


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; `undefined` replicates had no value and were left out."""

    estimate: float
    low: float
    high: float
    undefined: int


@dataclass(frozen=True)
class Difference:
    """b − a with its interval and two-sided p-value; `undefined` replicates had no value and were left out."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    pvalue: float
    undefined: int


@dataclass(frozen=True)
class Bootstrap:
    """Metrics of M models on the data and on R resamples of its lesions."""

    metrics: tuple[str, ...]  # (K,)
    point: np.ndarray  # (M, K)
    replicates: np.ndarray  # (R, M, K)

    def interval(self, model: int, metric: str, confidence: float = 0.95) -> Interval:
        """Return the percentile interval of one model's metric [1]."""
        k = self.metrics.index(metric)
        low, high, undefined = _percentiles(self.replicates[:, model, k], confidence)
        return Interval(float(self.point[model, k]), low, high, undefined)

    def difference(self, a: int, b: int, metric: str, confidence: float = 0.95) -> Difference:
        """Return metric(b) − metric(a), its percentile interval and the p-value that inverts it [2].

        p = 2 · min(1 + #{d* ≤ 0}, 1 + #{d* ≥ 0}) / (R + 1), at most 1 and never 0.
        """
        k = self.metrics.index(metric)
        draws = self.replicates[:, b, k] - self.replicates[:, a, k]
        low, high, undefined = _percentiles(draws, confidence)
        first, second = float(self.point[a, k]), float(self.point[b, k])
        kept = draws[~np.isnan(draws)]
        tail = min((kept <= 0).sum(), (kept >= 0).sum())
        pvalue = min(1.0, 2 * (1 + int(tail)) / (len(kept) + 1))
        return Difference(first, second, second - first, low, high, pvalue, undefined)


def bootstrap(
    labels: np.ndarray,
    models: Sequence[np.ndarray],
    clusters: np.ndarray,
    metrics: Sequence[str],
    *,
    class_names: Sequence[str],
    malignant: Sequence[str] = (),
    replicates: int = 10_000,
    seed: int = 0,
    threads: int | None = None,
) -> Bootstrap:
    """Return the paired lesion-cluster bootstrap of several models on the same images.

    Args:
        labels: (N,) positions in `class_names`.
        models: one array (S, N, C) of probabilities a model; with several seeds S a model's metric is the mean over
            its seeds, so an interval is about training once, not about an ensemble.
        clusters: (N,) the lesion of each image; all different for the naive bootstrap of images.
        metrics: names out of `metric_names(class_names)`.
        malignant: classes whose summed probability is scored by `malignant_auc`.
        threads: how many to use; all cores by default. Neither this nor anything but `seed` changes the result.

    Raises:
        ValueError: shapes that do not fit, or an unknown metric.
    """
    plans = [_plan(labels, model, clusters, metrics, class_names, malignant) for model in models]
    lesions = plans[0].lesions
    point = _evaluate(plans, np.ones((lesions, 1), np.float32))[0]  # (M, K)
    blocks = -(-replicates // BLOCK)
    children = np.random.SeedSequence(seed).spawn(blocks)

    def one(block: int) -> np.ndarray:
        size = min(BLOCK, replicates - block * BLOCK)
        return _evaluate(plans, draw_weights(np.random.default_rng(children[block]), lesions)[:, :size])

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        values = np.concatenate(list(pool.map(one, range(blocks))))
    return Bootstrap(tuple(metrics), point, values)


def draw_weights(rng: np.random.Generator, lesions: int) -> np.ndarray:
    """Return (L, BLOCK) float32: how often each lesion comes up in BLOCK draws of L lesions with replacement."""
    drawn = rng.integers(0, lesions, size=(BLOCK, lesions), dtype=np.int64)
    drawn *= BLOCK
    drawn += np.arange(BLOCK)[:, None]
    return np.bincount(drawn.ravel(), minlength=lesions * BLOCK).reshape(lesions, BLOCK).astype(np.float32)


def metric_names(class_names: Sequence[str], malignant: Sequence[str] = ()) -> list[str]:
    """Return every metric `bootstrap` knows."""
    by_class = [f"{metric}_{name}" for metric in (*count_metrics.BY_CLASS, "auc") for name in class_names]
    return [*count_metrics.WHOLE, *by_class, "macro_auc", *(["malignant_auc"] if malignant else [])]


@dataclass(frozen=True)
class _Plan:
    """One model made ready for many weightings: S layers of counts and AUC plans."""

    lesions: int
    metrics: tuple[str, ...]
    class_names: tuple[str, ...]
    counted: np.ndarray  # (L, C · (1 + 2 S)): support, then hits and calls of each seed
    seeds: int
    aucs: list[dict[str, AucPlan]]  # by seed: class name or "malignant" → plan


def _plan(
    labels: np.ndarray,
    model: np.ndarray,
    clusters: np.ndarray,
    metrics: Sequence[str],
    class_names: Sequence[str],
    malignant: Sequence[str],
) -> _Plan:
    known = metric_names(class_names, malignant)
    for metric in metrics:
        if metric not in known:
            raise ValueError(f"unknown metric {metric!r}; known: {', '.join(known)}")
    if model.ndim != 3 or model.shape[1:] != (len(labels), len(class_names)) or len(clusters) != len(labels):
        raise ValueError(f"expected probabilities (S, {len(labels)}, {len(class_names)}), got {model.shape}")
    ids, lesion = np.unique(clusters, return_inverse=True)
    size = len(ids), len(class_names)
    tables = [lesion_counts(labels, lesion, *size)]
    for layer in model:
        predicted = layer.argmax(axis=1)
        hits = np.where(predicted == labels, labels, -1)
        tables += [lesion_counts(hits, lesion, *size), lesion_counts(predicted, lesion, *size)]
    needed = _needed_aucs(metrics, class_names)
    aucs = []
    for layer in model:
        plans = {}
        for name in needed:
            members = list(malignant) if name == "malignant" else [name]
            positions = [list(class_names).index(member) for member in members]
            plans[name] = plan_auc(np.isin(labels, positions), layer[:, positions].sum(axis=1), lesion, len(ids))
        aucs.append(plans)
    return _Plan(len(ids), tuple(metrics), tuple(class_names), np.hstack(tables), len(model), aucs)


def _needed_aucs(metrics: Sequence[str], class_names: Sequence[str]) -> list[str]:
    needed = [name for name in class_names if "macro_auc" in metrics or f"auc_{name}" in metrics]
    return [*needed, *(["malignant"] if "malignant_auc" in metrics else [])]


def _evaluate(plans: Sequence[_Plan], weights: np.ndarray) -> np.ndarray:
    """Return (R, M, K) for lesion weights (L, R)."""
    return np.stack([_evaluate_model(plan, weights) for plan in plans], axis=1)


def _evaluate_model(plan: _Plan, weights: np.ndarray) -> np.ndarray:
    """Return (R, K), the mean over the model's seeds."""
    classes = len(plan.class_names)
    table = weights.T @ plan.counted  # (R, C · (1 + 2 S)), whole numbers
    parts = np.split(table, 1 + 2 * plan.seeds, axis=1)
    total = np.zeros((weights.shape[1], len(plan.metrics)))
    for seed in range(plan.seeds):
        counts = Counts(parts[0], parts[1 + 2 * seed], parts[2 + 2 * seed])
        aucs = {name: weighted_auc(auc, weights) for name, auc in plan.aucs[seed].items()}
        for k, metric in enumerate(plan.metrics):
            total[:, k] += _one_metric(metric, counts, aucs, plan.class_names, classes)
    return total / plan.seeds


def _one_metric(
    metric: str, counts: Counts, aucs: dict[str, np.ndarray], class_names: Sequence[str], classes: int
) -> np.ndarray:
    if metric in count_metrics.WHOLE:
        return count_metrics.WHOLE[metric](counts)
    if metric == "macro_auc":
        return np.mean([aucs[name] for name in class_names], axis=0)
    if metric == "malignant_auc":
        return aucs["malignant"]
    kind, _, name = metric.partition("_")
    if kind == "auc":
        return aucs[name]
    return count_metrics.BY_CLASS[kind](counts)[:, list(class_names).index(name)]


def _percentiles(draws: np.ndarray, confidence: float) -> tuple[float, float, int]:
    kept = draws[~np.isnan(draws)]
    undefined = len(draws) - len(kept)
    if len(kept) == 0:
        return float("nan"), float("nan"), undefined
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high), undefined
