"""Metrics of one set of predictions, as the field defines them.

Every function takes labels (N,) int and probabilities (N, C). What is undefined (a sensitivity without cases, an
AUC with one class) is left out and its reason given, never scored as 0 or 1.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from skinlesion.vocabulary import CLASSES, MALIGNANT


@dataclass(frozen=True)
class Scores:
    """Values by name, and for each name that has none the reason."""

    values: dict[str, float]
    undefined: dict[str, str]


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, count: int = len(CLASSES)) -> np.ndarray:
    """Return counts (C, C) for `count` classes: rows are the truth, columns the prediction."""
    return np.bincount(labels * count + predicted, minlength=count * count).reshape(count, count)


def score(labels: np.ndarray, probabilities: np.ndarray, ece_bins: int, classes: tuple[str, ...] = CLASSES) -> Scores:
    """Return every metric of the metrics.json contract but `temperature`.

    Args:
        labels: (N,) positions in `classes`.
        probabilities: (N, C), one column a class, rows sum to one.
        ece_bins: equal-width bins of the expected calibration error.
        classes: names of the classes that can be answered, all seven but for external data with fewer.
    """
    values: dict[str, float] = {}
    undefined: dict[str, str] = {}
    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), len(classes))
    _score_confusion(matrix, classes, values, undefined)
    _score_ranking(labels, probabilities, classes, values, undefined)
    values["ece"] = expected_calibration_error(labels, probabilities, ece_bins)
    values["brier"] = brier_score(labels, probabilities)
    values["nll"] = negative_log_likelihood(labels, probabilities)
    return Scores(values, undefined)


def _score_confusion(
    matrix: np.ndarray, classes: tuple[str, ...], values: dict[str, float], undefined: dict[str, str]
) -> None:
    total = matrix.sum()
    support, predicted, hits = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)
    values["accuracy"] = float(hits.sum() / total)
    present = support > 0
    values["balanced_accuracy"] = float((hits[present] / support[present]).mean())
    # As scikit-learn: classes neither true nor predicted take no part, a class never hit scores 0.
    seen = support + predicted > 0
    f1 = 2 * hits[seen] / (support + predicted)[seen]
    values["macro_f1"] = float(f1.mean())
    values["weighted_f1"] = float(f1 @ support[seen] / total)
    for position, name in enumerate(classes):
        cases, calls, hit = int(support[position]), int(predicted[position]), int(hits[position])
        ratios = {
            "sensitivity": (hit, cases, f"no {name} among the images"),
            "specificity": (int(total) - cases - calls + hit, int(total) - cases, f"only {name} among the images"),
            "precision": (hit, calls, f"{name} is never predicted"),
            "f1": (2 * hit, cases + calls, f"{name} is neither present nor predicted"),
        }
        for metric, (above, below, reason) in ratios.items():
            if below:
                values[f"{metric}_{name}"] = above / below
            else:
                undefined[f"{metric}_{name}"] = reason


def _score_ranking(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: tuple[str, ...],
    values: dict[str, float],
    undefined: dict[str, str],
) -> None:
    for position, name in enumerate(classes):
        _auc(f"auc_{name}", labels == position, probabilities[:, position], values, undefined)
    missing = [name for name in classes if f"auc_{name}" in undefined]
    if missing:
        undefined["macro_auc"] = f"no AUC for {', '.join(missing)}"
    else:
        values["macro_auc"] = float(np.mean([values[f"auc_{name}"] for name in classes]))
    malignant = malignant_positions(classes)
    _auc("malignant_auc", np.isin(labels, malignant), probabilities[:, malignant].sum(axis=1), values, undefined)


def malignant_positions(classes: tuple[str, ...] = CLASSES) -> list[int]:
    """Return the positions of the malignant classes in `classes`."""
    return [position for position, name in enumerate(classes) if name in MALIGNANT]


def _auc(
    name: str, positive: np.ndarray, scores: np.ndarray, values: dict[str, float], undefined: dict[str, str]
) -> None:
    if positive.all() or not positive.any():
        undefined[name] = "needs images of the class and of others"
    else:
        values[name] = float(roc_auc_score(positive, scores))


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int) -> float:
    """Return ECE in 0..1: Σ_b (n_b / n) |accuracy_b − confidence_b| over equal-width bins of the top probability.

    Bins are (i/B, (i+1)/B], the first one closed; confidence 1.0 falls into the last (Guo et al. 2017, eq. 3).
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def brier_score(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the multi-class Brier score in 0..2: mean over images of Σ_c (p_c − [c is true])² (Brier 1950)."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def negative_log_likelihood(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean of −ln p(truth) in nats; probabilities below 1e-12 count as 1e-12."""
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(own, 1e-12, 1)).mean())
