"""Tables of the confusion matrix and the ROC curves, as `dvc plots` and the report draw them."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from skinlesion.evaluation.decisions import malignant_positions
from skinlesion.vocabulary import CLASSES

_GRID = np.linspace(0, 1, 101)


def confusion_table(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return `actual, predicted`, one row per image and run, as DVC's confusion template expects.

    Args:
        labels: (N,) positions in CLASSES.
        probabilities: (S, N, 7), one layer per seed.
    """
    names = np.array(CLASSES)
    actual = np.tile(names[labels], len(probabilities))
    return pd.DataFrame({"actual": actual, "predicted": names[probabilities.argmax(axis=2)].ravel()})


def roc_table(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return `false_positive_rate`, then the sensitivity at that rate per class, their mean and malignant-vs-benign.

    101 rates from 0 to 1; each curve is interpolated and averaged over seeds. Classes without both positives and
    negatives have no column.
    """
    columns: dict[str, np.ndarray] = {}
    for position, name in enumerate(CLASSES):
        positive = labels == position
        if positive.any() and not positive.all():
            columns[name] = _mean_curve(positive, probabilities[:, :, position])
    mean = np.mean(list(columns.values()), axis=0) if columns else np.full(len(_GRID), np.nan)
    positions = malignant_positions()
    malignant = np.isin(labels, positions)
    if malignant.any() and not malignant.all():
        columns["malignant"] = _mean_curve(malignant, probabilities[:, :, positions].sum(axis=2))
    return pd.DataFrame({"false_positive_rate": _GRID, "macro": mean, **columns})


def _mean_curve(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    curves = []
    for layer in scores:  # (N,) of each seed
        false_rate, true_rate, _ = roc_curve(positive, layer, drop_intermediate=True)
        curve = np.interp(_GRID, false_rate, true_rate)
        curve[0] = true_rate[false_rate == 0].max()  # the step at zero, which interpolation would lose
        curves.append(curve)
    return np.asarray(np.mean(curves, axis=0))
