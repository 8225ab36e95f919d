"""Influence functions of the metrics: what each gains when the weight of a lesion grows.

A count metric is a function of total counts, to which a lesion adds its own: its influence is the gradient at the
totals, taken numerically, times the lesion's counts. Any metric registered later works so. The influence of a lesion
on an AUC is the sum of its centred placements, over its images on either side [1, 2]; that on the macro AUC is the mean
over classes. `LinearEstimate` makes variances, intervals and p-values of influences.

References:
    [1] DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 44, 837–845 (1988).
    [2] Obuchowski NA. Biometrics 53, 567–578 (1997) (clusters).
    [3] Newcombe RG. Stat Med 25, 559–573 (2006).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skinlesion.stats.counts import Counts
from skinlesion.stats.delong import placements
from skinlesion.stats.linear_estimate import LinearEstimate, contrast, correlation
from skinlesion.stats.resampling import Schema, check_predictions

__all__ = ["LinearEstimate", "contrast", "correlation", "influences"]

_STEP = 1e-5  # of the central differences, relative to the total that is changed
_TINY = 1e-6  # weight of a lesion that is about to vanish
#: Lesions for which the variance of an AUC is a model's. Influences of few lesions give too small a variance more often
#: than too large a one; 2 keeps the coverage of benchmarks/validity.md nearest to 95 %.
_MODEL_LESIONS = 2
_JUMP = 1e-4  # a larger change when it vanishes means that the metric cannot do without its class


@dataclass(frozen=True)
class _Term:
    """A metric of one layer: its value, the influences on it (K,), and why it has no value or no variance."""

    value: float
    influence: np.ndarray
    undefined: str = ""


@dataclass(frozen=True)
class _Images:
    """Labelled images in lesions numbered 0 to K − 1."""

    labels: np.ndarray  # (N,)
    lesion: np.ndarray  # (N,)
    weights: np.ndarray  # (N,)
    stratum: np.ndarray  # (K,)
    class_names: tuple[str, ...]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted sums (K,) of values (N,) over the images of each lesion."""
        return np.bincount(self.lesion, weights=values * self.weights, minlength=len(self.stratum))

    def counts(self, classes: np.ndarray) -> np.ndarray:
        """Return the weighted number of images (K, C) per lesion and class, from classes (N,), < 0 for none."""
        size, mask = len(self.class_names), classes >= 0
        flat = self.lesion[mask] * size + classes[mask]
        weighted = np.bincount(flat, weights=self.weights[mask], minlength=len(self.stratum) * size)
        return weighted.reshape(len(self.stratum), size)

    def lone_lesions(self) -> dict[int, str]:
        """Return the lesions that are the only one of a class, and the names of those classes."""
        lone: dict[int, str] = {}
        for position, name in enumerate(self.class_names):
            lesions = np.unique(self.lesion[(self.labels == position) & (self.weights > 0)])
            if len(lesions) == 1:
                lone[int(lesions[0])] = name
        return lone

    def behind(self, chosen: np.ndarray) -> tuple[float, float]:
        """Return how many lesions and images the chosen ones (N,) bool are; by Kish's formula where weights differ."""
        images = self.weights[chosen]
        count = np.bincount(self.lesion[chosen], minlength=len(self.stratum))
        total = np.bincount(self.lesion[chosen], weights=images, minlength=len(self.stratum))
        mean = total[count > 0] / count[count > 0]
        return _effective_count(mean), _effective_count(images)


def influences(
    labels: np.ndarray,
    layers: np.ndarray,
    clusters: np.ndarray,
    metrics: Sequence[str],
    schema: Schema,
    *,
    weights: np.ndarray | None = None,
    by_layer: bool = False,
) -> dict[str, LinearEstimate]:
    """Return metrics of a model (means over its trainings) with the influence of each lesion on them.

    A single AUC has the logit scale, a share of images (accuracy, sensitivity, specificity, precision) Wilson's
    interval with an effective number of answers; all other metrics the linear scale.

    Args:
        labels: (N,) positions in `schema.class_names`.
        layers: (S, N, C) probabilities, one layer per training.
        clusters: (N,) the lesion of each image; influences are in the order of `np.unique(clusters)`.
        metrics: names from `schema.metrics()`.
        weights: (N,) of the images, taken as known; for a metric under another mix of sources or classes.
        by_layer: also keep the influences on each training's value, (S, K) per metric.

    Raises:
        ValueError: input that `check_predictions` refuses, or weights that are negative or do not fit.
    """
    check_predictions(labels, [layers], clusters, metrics, schema)
    images = _images(labels, clusters, weights, schema)
    terms = [_layer_terms(images, layer, metrics, schema) for layer in layers]
    estimates = {}
    for metric in metrics:
        layer_terms = [layer[metric] for layer in terms]
        value = float(np.mean([term.value for term in layer_terms]))
        influence = np.mean([term.influence for term in layer_terms], axis=0)
        estimates[metric] = LinearEstimate(
            value,
            influence,
            images.stratum,
            *_scale(metric, images, terms, layers, schema),
            np.array([term.value for term in layer_terms]),
            np.stack([term.influence for term in layer_terms]) if by_layer else None,
            next((term.undefined for term in layer_terms if term.undefined), ""),
        )
    return estimates


def _images(labels: np.ndarray, clusters: np.ndarray, weights: np.ndarray | None, schema: Schema) -> _Images:
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=float)
    if weights.shape != labels.shape or not (weights >= 0).all() or not weights.any():
        raise ValueError("weights must be one number for each image, not negative and not all 0")
    _, first, lesion = np.unique(clusters, return_index=True, return_inverse=True)
    weighted = np.bincount(lesion, weights=weights) > 0
    return _Images(labels, lesion, weights, np.where(weighted, labels[first], -1), schema.class_names)


def _layer_terms(
    images: _Images, probabilities: np.ndarray, metrics: Sequence[str], schema: Schema
) -> dict[str, _Term]:
    """Return each metric of one layer (N, C)."""
    counted = [name for name in metrics if name in schema.whole or name in _by_class(schema)]
    terms = _count_terms(images, probabilities.argmax(axis=1), counted, schema)
    aucs = {
        name: _auc_term(images, np.isin(images.labels, columns), probabilities[:, columns].sum(axis=1), name)
        for name, columns in schema.aucs_behind(metrics).items()
    }
    if "macro_auc" in metrics:
        class_aucs = [aucs[f"auc_{name}"] for name in schema.class_names]
        aucs["macro_auc"] = _Term(
            float(np.mean([term.value for term in class_aucs])),
            np.mean([term.influence for term in class_aucs], axis=0),
            next((term.undefined for term in class_aucs if term.undefined), ""),
        )
    return terms | aucs


def _by_class(schema: Schema) -> dict[str, tuple[str, int]]:
    """Return the count metrics per class, by name: the kind and the position of the class."""
    return {
        f"{kind}_{name}": (kind, position)
        for kind in schema.by_class
        for position, name in enumerate(schema.class_names)
        if f"{kind}_{name}" not in schema.whole
    }


def _count_terms(images: _Images, predicted: np.ndarray, metrics: Sequence[str], schema: Schema) -> dict[str, _Term]:
    """Return count metrics of answers (N,): values and gradients by central differences at the total counts."""
    hits = np.where(predicted == images.labels, images.labels, -1)
    counted = np.hstack([images.counts(classes) for classes in (images.labels, hits, predicted)])  # (K, 3 C)
    totals = counted.sum(axis=0)
    # A total of 0 has no lesion that counts: its gradient does not matter, and may not exist.
    moved = np.flatnonzero(totals > 0)
    steps = np.zeros((len(moved), len(totals)))
    steps[np.arange(len(moved)), moved] = _STEP * totals[moved]
    lone = images.lone_lesions()
    nearly = [totals - share * counted[k] for k in lone for share in (1 - _TINY, 1.0)]
    rows = np.vstack([totals, totals + steps, totals - steps, *nearly])
    rows[np.abs(rows) < 1e-9 * totals.sum()] = 0.0  # rounding is no image
    table = Counts(*np.split(rows, 3, axis=1))
    places = _by_class(schema)
    evaluated = {kind: schema.by_class[kind](table) for kind in {places[name][0] for name in metrics if name in places}}
    terms, counted = {}, counted[:, moved]
    for metric in metrics:
        if metric in places:
            kind, position = places[metric]
            values = evaluated[kind][:, position]
        else:
            values = schema.whole[metric](table)
        up, down = values[1 : 1 + len(moved)], values[1 + len(moved) : 1 + 2 * len(moved)]
        gradient = (up - down) / (2 * _STEP * totals[moved])
        terms[metric] = _Term(
            float(values[0]),
            counted @ gradient,
            _why_not(float(values[0]), values[1 + 2 * len(moved) :].reshape(-1, 2), list(lone.values()), images),
        )
    return terms


def _why_not(value: float, vanishing: np.ndarray, classes: Sequence[str], images: _Images) -> str:
    """Return why a metric has no value or no variance, from its values (G, 2) before and after a class vanishes."""
    if np.isnan(value):
        return "undefined on these images"
    if (images.stratum >= 0).sum() < 2:
        return "one lesion: no variance"
    needed = ~(np.abs(vanishing[:, 0] - vanishing[:, 1]) < _JUMP)  # also where it is undefined without the class
    return next((f"one lesion of {name}: no variance" for name, jump in zip(classes, needed, strict=True) if jump), "")


def _auc_term(images: _Images, positive: np.ndarray, scores: np.ndarray, name: str) -> _Term:
    """Return the AUC of scores (N,) for `positive` (N,) bool."""
    weights = images.weights
    sides = [side & (weights > 0) for side in (positive, ~positive)]
    lesions = [int(np.count_nonzero(np.bincount(images.lesion[side]))) for side in sides]
    if 0 in lesions:
        nothing = np.full(len(images.stratum), np.nan)
        return _Term(float("nan"), nothing, f"{name} needs images of the class and of others")
    v10, v01 = placements(positive, scores.astype(np.float64), weights)
    value = float(np.average(v10, weights=weights[positive]))
    centred = np.empty(len(positive))
    centred[positive] = (v10 - value) / weights[positive].sum()
    centred[~positive] = (v01 - value) / weights[~positive].sum()
    lone = f"{name} has one lesion of the class or of others: no variance" if 1 in lesions else ""
    return _Term(value, images.sums(centred), lone)


def _scale(
    metric: str, images: _Images, terms: Sequence[dict[str, _Term]], layers: np.ndarray, schema: Schema
) -> tuple[str, float, float, float]:
    """Return the scale of a metric's interval; the lesions and answers behind it; the correction of an AUC."""
    nothing = float("nan")
    if columns := schema.aucs_behind([metric]):
        lesions = [_lesions_of(images, chosen) for chosen in columns.values()]
        corrections = [_correction(images, terms, name, *sizes) for name, sizes in zip(columns, lesions, strict=True)]
        return "logit", float(np.min(lesions)), nothing, sum(corrections) / len(corrections) ** 2
    kind, position = ("accuracy", 0) if metric == "accuracy" else _by_class(schema).get(metric, ("", 0))
    positive = images.labels == position
    denominators = {
        "accuracy": [np.ones(len(positive), dtype=bool)],
        "sensitivity": [positive],
        "specificity": [~positive],
        "precision": [layer.argmax(axis=1) == position for layer in layers],
    }
    if kind not in denominators:
        return "linear", nothing, nothing, 0.0
    lesions, count = np.min([images.behind(chosen) for chosen in denominators[kind]], axis=0)
    return "proportion", float(lesions), float(count) * len(layers), 0.0


def _lesions_of(images: _Images, columns: list[int]) -> tuple[float, float]:
    """Return how many lesions are in the classes of an AUC, and how many in others."""
    positive = np.isin(images.labels, columns)
    return images.behind(positive)[0], images.behind(~positive)[0]


def _correction(images: _Images, terms: Sequence[dict[str, _Term]], name: str, cases: float, controls: float) -> float:
    """Return what is added to the variance of one AUC: it is drawn towards that of a model.

    The weights are the lesions on the smaller side, and `_MODEL_LESIONS`.
    """
    estimate = LinearEstimate(
        float(np.mean([layer[name].value for layer in terms])),
        np.mean([layer[name].influence for layer in terms], axis=0),
        images.stratum,
        undefined=next((layer[name].undefined for layer in terms if layer[name].undefined), ""),
    )
    if estimate.undefined:
        return 0.0
    share = _MODEL_LESIONS / (min(cases, controls) + _MODEL_LESIONS)
    return share * (_exponential_variance(estimate.value, cases, controls) - estimate.variance)


def _exponential_variance(auc: float, cases: float, controls: float) -> float:
    """Return the variance of an AUC if scores are exponential in both classes, by Newcombe's formula [3].

    It is that of Hanley and McNeil with both numbers replaced by their mean, where they stand beside 1.
    """
    n_star = (cases + controls) / 2 - 1
    spread = 1 + n_star * ((1 - auc) / (2 - auc) + auc / (1 + auc))
    return auc * (1 - auc) * spread / (cases * controls)


def _effective_count(weights: np.ndarray) -> float:
    """Return Kish's effective number of weights, which is their number if they are equal."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0
