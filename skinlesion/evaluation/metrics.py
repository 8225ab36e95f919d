"""The metrics of one set of predictions: every entry of the registry, evaluated."""

from dataclasses import dataclass

import numpy as np

from skinlesion.evaluation.registry import METRICS, Scored, metric_of
from skinlesion.vocabulary import CLASSES


@dataclass(frozen=True)
class Scores:
    """Values by name, and for each name without a value the reason."""

    values: dict[str, float]
    undefined: dict[str, str]


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, count: int = len(CLASSES)) -> np.ndarray:
    """Return counts (C, C) for `count` classes: rows are the truth, columns the prediction."""
    return np.bincount(labels * count + predicted, minlength=count * count).reshape(count, count)


def score(labels: np.ndarray, probabilities: np.ndarray, ece_bins: int, classes: tuple[str, ...] = CLASSES) -> Scores:
    """Return every metric of metrics.json but `temperature`.

    What is undefined (a sensitivity without cases, an AUC with one class) is left out and its reason given, never
    scored as 0 or 1.

    Args:
        labels: (N,) positions in `classes`.
        probabilities: (N, C), one column per class, rows sum to one.
        ece_bins: equal-width bins of the expected calibration error.
        classes: names of the classes that can be answered, all seven but for external data with fewer.
    """
    scored = Scored(labels, probabilities, classes, ece_bins)
    values: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for metric in METRICS.values():
        for name, value in zip(metric.names(classes), metric.values(scored), strict=True):
            if np.isnan(value):
                undefined[name] = metric.reason(scored, name.rpartition("_")[2])
            else:
                values[name] = float(value)
    return Scores(values, undefined)


def metric_value(name: str, labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return one metric of metrics.json, such as `balanced_accuracy` or `sensitivity_mel`; NaN where it is undefined.

    Args:
        labels: (N,) positions in CLASSES.
        probabilities: (N, 7).

    Raises:
        KeyError: there is no metric of that name.
    """
    metric = metric_of(name)
    return float(metric.values(Scored(labels, probabilities))[metric.names().index(name)])
