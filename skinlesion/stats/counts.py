"""Metrics of a confusion matrix, for many weightings of the same images at once.

Every metric here is a function of three vectors a class: support (images of the class), hits (of these, rightly
called) and calls (images called so). For weights w of lesions each is a product of w with per-lesion counts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """Weighted counts of R replicates: each (R, C)."""

    support: np.ndarray
    hits: np.ndarray
    calls: np.ndarray


def lesion_counts(values: np.ndarray, lesion: np.ndarray, lesions: int, classes: int) -> np.ndarray:
    """Return (L, C) float32: how many of a lesion's images carry each class in `values` (N,); negative ones none."""
    kept = values >= 0
    flat = np.bincount(lesion[kept] * classes + values[kept], minlength=lesions * classes)
    return flat.reshape(lesions, classes).astype(np.float32)


def accuracy(counts: Counts) -> np.ndarray:
    """Return the share of images rightly called (R,)."""
    return _ratio(counts.hits.sum(axis=1), counts.support.sum(axis=1))


def balanced_accuracy(counts: Counts) -> np.ndarray:
    """Return the mean sensitivity over the classes present (R,)."""
    return np.nanmean(_ratio(counts.hits, counts.support), axis=1)


def macro_f1(counts: Counts) -> np.ndarray:
    """Return the mean F1 over the classes present or called (R,), as scikit-learn averages it."""
    return np.nanmean(f1(counts), axis=1)


def weighted_f1(counts: Counts) -> np.ndarray:
    """Return the mean F1 weighted by support (R,)."""
    support = counts.support.astype(np.float64)
    weights = support / support.sum(axis=1, keepdims=True)
    return np.nansum(f1(counts) * weights, axis=1)


def f1(counts: Counts) -> np.ndarray:
    """Return F1 a class (R, C), NaN where it is neither present nor called."""
    return _ratio(2 * counts.hits, counts.support + counts.calls)


def sensitivity(counts: Counts) -> np.ndarray:
    """Return the sensitivity a class (R, C), NaN without cases."""
    return _ratio(counts.hits, counts.support)


def specificity(counts: Counts) -> np.ndarray:
    """Return the specificity a class (R, C), NaN without other images."""
    total = counts.support.sum(axis=1, keepdims=True)
    return _ratio(total - counts.support - counts.calls + counts.hits, total - counts.support)


def precision(counts: Counts) -> np.ndarray:
    """Return the precision a class (R, C), NaN where it is never called."""
    return _ratio(counts.hits, counts.calls)


#: Metrics with one value a replicate.
WHOLE: dict[str, Callable[[Counts], np.ndarray]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
}

#: Metrics with one value a replicate and class; named `<metric>_<class>`.
BY_CLASS: dict[str, Callable[[Counts], np.ndarray]] = {
    "sensitivity": sensitivity,
    "specificity": specificity,
    "precision": precision,
    "f1": f1,
}


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = above.astype(np.float64), below.astype(np.float64)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
