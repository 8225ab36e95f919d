"""The same figures by image and by lesion."""

import pandas as pd

from skinlesion.evaluation.lesions import by_lesion
from skinlesion.evaluation.predictions import Predictions
from skinlesion.params import EvaluateParams
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES, MALIGNANT

METRICS = (
    "balanced_accuracy", "macro_f1", "weighted_f1", "accuracy", "macro_auc", "malignant_auc",
    *(f"sensitivity_{name}" for name in CLASSES),
)  # fmt: skip


def lesion_table(tested: Predictions, settings: EvaluateParams) -> pd.DataFrame:
    """Return `unit, count, metric, value, low, high` for images and for lesions (mean probability over a lesion).

    Probabilities are those of the model, uncalibrated, as in metrics.json. Classes that are absent have no figure.
    """
    rows = []
    for unit, predictions in (("image", tested), ("lesion", by_lesion(tested))):
        found = bootstrap(
            predictions.labels,
            [predictions.probabilities],
            predictions.lesions,
            METRICS,
            Schema(CLASSES, MALIGNANT),
            replicates=settings.replicates,
            seed=settings.seed,
        )
        for name in METRICS:
            one = found.interval(0, name, settings.confidence)
            row = {"unit": unit, "count": len(predictions.labels), "metric": name}
            rows.append(row | {"value": one.estimate, "low": one.low, "high": one.high})
    return pd.DataFrame(rows)
