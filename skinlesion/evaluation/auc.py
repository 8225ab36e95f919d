"""The area under the ROC curve, of one score and of every class against the rest.

References:
    [1] Hanley JA, McNeil BJ. Radiology 143, 29–36 (1982).
    [2] Fawcett T. Pattern Recognit Lett 27, 861–874 (2006), section 9 (one class against the rest).
"""

import numpy as np


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve in 0..1, NaN unless there are both positives and negatives [1].

    Args:
        positive: (N,) bool.
        scores: (N,), higher for a likelier positive.
    """
    from sklearn.metrics import roc_auc_score  # here: the registry of metrics is imported where sklearn is not needed

    if positive.all() or not positive.any():
        return float("nan")
    return float(roc_auc_score(positive, scores))


def class_aucs(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the one-vs-rest AUC of each class (C,), NaN for a class without positives or without negatives [1, 2].

    Args:
        labels: (N,) positions of the true classes.
        probabilities: (N, C).
    """
    return np.array([auc(labels == place, scores) for place, scores in enumerate(probabilities.T)])
