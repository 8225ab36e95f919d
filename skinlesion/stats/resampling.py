"""Metrics of one model for many lesion weightings at once: the engine of the bootstrap and the permutation test.

A metric of the confusion matrix is a ratio of products of counts and weights, an AUC is two sparse products and a
cumulative sum (`weighted_auc`): replicates are columns of a matrix, not iterations of a loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from skinlesion.stats.counts import BY_CLASS, WHOLE, CountMetric, Counts, lesion_counts
from skinlesion.stats.weighted_auc import AucPlan, plan_auc, weighted_auc


@dataclass(frozen=True)
class Schema:
    """What the columns of probabilities are called, which classes `malignant_auc` adds up, and the count metrics."""

    class_names: tuple[str, ...]
    malignant: tuple[str, ...] = ()
    whole: Mapping[str, CountMetric] = field(default_factory=lambda: WHOLE)
    by_class: Mapping[str, CountMetric] = field(default_factory=lambda: BY_CLASS)

    def metrics(self) -> list[str]:
        """Return every metric there is."""
        by_class = [f"{metric}_{name}" for metric in (*self.by_class, "auc") for name in self.class_names]
        return [*self.whole, *by_class, "macro_auc", *(["malignant_auc"] if self.malignant else [])]

    def aucs_behind(self, metrics: Sequence[str]) -> dict[str, list[int]]:
        """Return the AUCs that `metrics` need: by name, the columns whose sum is the score."""
        needed = {
            f"auc_{name}": [position]
            for position, name in enumerate(self.class_names)
            if "macro_auc" in metrics or f"auc_{name}" in metrics
        }
        if "malignant_auc" in metrics:
            needed["malignant_auc"] = [self.class_names.index(name) for name in self.malignant]
        return needed


#: Units that are resampled or permuted at most.
MOST_UNITS = 20_000


def resampled_units(clusters: np.ndarray, seed: int) -> np.ndarray:
    """Return the unit (N,) of each image, from 0, that is resampled or permuted as a whole.

    Units are lesions, in the order of `np.unique(clusters)`. More than MOST_UNITS lesions are joined at random into
    MOST_UNITS groups of equal size: groups of independent lesions are independent, so what is valid for lesions is
    valid for groups, and so many of them give the same distribution in less time.
    """
    ids, lesion = np.unique(clusters, return_inverse=True)
    if len(ids) <= MOST_UNITS:
        return lesion
    return np.asarray((np.random.default_rng(seed).permutation(len(ids)) % MOST_UNITS)[lesion])


@dataclass(frozen=True)
class LayerPlan:
    """One layer of predictions (a model of one training seed), prepared for weightings of L lesions."""

    schema: Schema
    metrics: tuple[str, ...]
    counted: np.ndarray  # (L, 3 C) float32: support, hits, calls
    aucs: dict[str, AucPlan]  # by metric name

    def evaluate(self, weights: np.ndarray) -> np.ndarray:
        """Return the metrics (R, K) for integer lesion weights (L, R) float32; NaN where undefined."""
        classes = len(self.schema.class_names)
        table = weights.T @ self.counted  # (R, 3 C), exact in float32 below 2²⁴
        counts = Counts(table[:, :classes], table[:, classes : 2 * classes], table[:, 2 * classes :])
        aucs = {name: weighted_auc(plan, weights) for name, plan in self.aucs.items()}
        return np.stack([self.metric_values(metric, counts, aucs) for metric in self.metrics], axis=1)

    def metric_values(self, metric: str, counts: Counts, aucs: dict[str, np.ndarray]) -> np.ndarray:
        if metric in self.schema.whole:
            return self.schema.whole[metric](counts)
        if metric == "macro_auc":
            return np.asarray(np.mean([aucs[f"auc_{name}"] for name in self.schema.class_names], axis=0))
        if metric in aucs:
            return aucs[metric]
        kind, _, name = metric.rpartition("_")
        return self.schema.by_class[kind](counts)[:, self.schema.class_names.index(name)]


def plan_layer(
    labels: np.ndarray,
    probabilities: np.ndarray,
    lesion: np.ndarray,
    lesions: int,
    metrics: Sequence[str],
    schema: Schema,
) -> LayerPlan:
    """Prepare one layer of predictions.

    Args:
        labels: (N,) positions in `schema.class_names`.
        probabilities: (N, C).
        lesion: (N,) the lesion of each image, 0 to lesions − 1.
    """
    size = lesions, len(schema.class_names)
    predicted = probabilities.argmax(axis=1)
    hits = np.where(predicted == labels, labels, -1)
    counted = np.hstack([lesion_counts(values, lesion, *size) for values in (labels, hits, predicted)])
    aucs = {}
    for name, columns in schema.aucs_behind(metrics).items():
        aucs[name] = plan_auc(np.isin(labels, columns), probabilities[:, columns].sum(axis=1), lesion, lesions)
    return LayerPlan(schema, tuple(metrics), counted, aucs)


def check_predictions(
    labels: np.ndarray, models: Sequence[np.ndarray], clusters: np.ndarray, metrics: Sequence[str], schema: Schema
) -> None:
    """Raise ValueError unless shapes match, values lie in 0 to 1, rows sum to one and metrics are known."""
    known = schema.metrics()
    for metric in metrics:
        if metric not in known:
            raise ValueError(f"unknown metric {metric!r}; known: {', '.join(known)}")
    if len(labels) == 0 or len(clusters) != len(labels):
        raise ValueError(f"{len(labels)} labels and {len(clusters)} clusters: expected as many, and at least one")
    if labels.min() < 0 or labels.max() >= len(schema.class_names):
        raise ValueError(f"labels outside 0 to {len(schema.class_names) - 1}")
    for number, model in enumerate(models):
        if model.ndim != 3 or model.shape[1:] != (len(labels), len(schema.class_names)):
            expected = f"(S, {len(labels)}, {len(schema.class_names)})"
            raise ValueError(f"model {number}: expected probabilities {expected}, got {model.shape}")
        if not ((model >= 0) & (model <= 1)).all():
            raise ValueError(f"model {number}: holds NaN or values outside 0 to 1")
        if np.abs(model.sum(axis=2) - 1).max() > 0.05:
            raise ValueError(f"model {number}: rows do not sum to one")
