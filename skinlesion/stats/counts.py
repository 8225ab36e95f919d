"""Metrics of a confusion matrix, for many weightings of the same images at once: their one definition.

Every metric here is a function of three counts per class: support (images of the class), hits (of these, those
predicted as the class) and calls (images predicted as the class). For weights w of lesions each is a product of w
with per-lesion counts.

References:
    [1] Sokolova M, Lapalme G. Inf Process Manag 45, 427–437 (2009) (accuracy, precision, sensitivity, F1).
    [2] Codella N et al. arXiv:1902.03368 (2019) (balanced accuracy, the metric of the ISIC 2018 challenge).
    [3] Opitz J, Burst S. arXiv:1911.03347 (2019) (the mean of F1 scores, and the other "macro F1").
    [4] Altman DG, Bland JM. BMJ 308, 1552 (1994) (sensitivity and specificity).
    [5] Altman DG, Bland JM. BMJ 309, 102 (1994) (precision, there called positive predictive value).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """Weighted counts of R replicates: each (R, C), or of any shape (…, C)."""

    support: np.ndarray
    hits: np.ndarray
    calls: np.ndarray


#: A metric of counts (…, C): one value (…) for each replicate, or one per class (…, C).
CountMetric = Callable[[Counts], np.ndarray]


def count_answers(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Counts:
    """Return the counts (1, C) of plain images.

    Args:
        labels: (N,) positions of the true classes.
        predicted: (N,) positions of the predicted classes.
    """
    hits = labels[predicted == labels]
    counted = [np.bincount(values, minlength=classes)[None] for values in (labels, hits, predicted)]
    return Counts(*counted)


def lesion_counts(values: np.ndarray, lesion: np.ndarray, lesions: int, classes: int) -> np.ndarray:
    """Return (L, C) float32: the number of images per lesion and class, from classes `values` (N,), < 0 for none."""
    mask = values >= 0
    flat = np.bincount(lesion[mask] * classes + values[mask], minlength=lesions * classes)
    return flat.reshape(lesions, classes).astype(np.float32)


def accuracy(counts: Counts) -> np.ndarray:
    """Return the share of images predicted correctly (R,) [1]."""
    return _ratio(counts.hits.sum(axis=-1), counts.support.sum(axis=-1))


def balanced_accuracy(counts: Counts) -> np.ndarray:
    """Return the mean sensitivity over the classes present (R,), NaN without images [2]."""
    return _mean_over_classes(sensitivity(counts))


def macro_f1(counts: Counts) -> np.ndarray:
    """Return the mean F1 over the classes present or predicted (R,), as scikit-learn averages it [3]."""
    return _mean_over_classes(f1(counts))


def weighted_f1(counts: Counts) -> np.ndarray:
    """Return the mean F1 weighted by support (R,), NaN without images [1]."""
    return _ratio(np.nansum(f1(counts) * counts.support, axis=-1), counts.support.sum(axis=-1))


def f1(counts: Counts) -> np.ndarray:
    """Return F1 per class (R, C), 2 · precision · sensitivity / their sum; NaN if neither present nor predicted [1]."""
    return _ratio(2 * counts.hits, counts.support + counts.calls)


def sensitivity(counts: Counts) -> np.ndarray:
    """Return the sensitivity per class (R, C): its hits over its images, NaN without images of the class [4]."""
    return _ratio(counts.hits, counts.support)


def specificity(counts: Counts) -> np.ndarray:
    """Return the specificity per class (R, C): of other classes' images those not called it, NaN without any [4]."""
    total = counts.support.sum(axis=-1, keepdims=True)
    return _ratio(total - counts.support - counts.calls + counts.hits, total - counts.support)


def precision(counts: Counts) -> np.ndarray:
    """Return the precision per class (R, C): of images called it those that are it, NaN if never predicted [5]."""
    return _ratio(counts.hits, counts.calls)


#: Metrics with one value for each replicate.
WHOLE: dict[str, CountMetric] = {
    metric.__name__: metric for metric in (accuracy, balanced_accuracy, macro_f1, weighted_f1)
}

#: Metrics with one value for each replicate and class; named `<metric>_<class>`.
BY_CLASS: dict[str, CountMetric] = {metric.__name__: metric for metric in (sensitivity, specificity, precision, f1)}


def _mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Return the mean of values (R, C) over the classes that have one, NaN where none has."""
    return _ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = above.astype(np.float64), below.astype(np.float64)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
