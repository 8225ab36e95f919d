"""Table of the metrics by image and by lesion, where a lesion's probability is the mean over its images."""

import pandas as pd

from skinlesion.analysis.metric_intervals import metric_intervals
from skinlesion.evaluation.predictions import Predictions, by_lesion
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.params import EvaluateParams
from skinlesion.vocabulary import CLASSES

METRICS = (
    "balanced_accuracy", "macro_f1", "weighted_f1", "accuracy", "macro_auc", "malignant_auc",
    *(f"sensitivity_{name}" for name in CLASSES),
)  # fmt: skip


def lesion_table(tested: Predictions, settings: EvaluateParams) -> pd.DataFrame:
    """Return `unit, count, metric, value, low, high, about, note` for images, and for lesions by mean probability.

    Probabilities are those of the model, uncalibrated, as in metrics.json. Classes that are absent have no figure.
    """
    rows = []
    for unit, predictions in (("image", tested), ("lesion", by_lesion(tested))):
        for name, interval in metric_intervals(predictions, METRICS, SCHEMA, settings.confidence).items():
            rows.append({"unit": unit, "count": len(predictions.labels), "metric": name} | vars(interval))
    return pd.DataFrame(rows)
