"""Table of the metrics by image and by lesion, where a lesion's probability is the mean over its images."""

import pandas as pd

from skinlesion.analysis.estimates import judged
from skinlesion.evaluation.minimum_sizes import LesionNumbers, too_few_lesions
from skinlesion.evaluation.predictions import Predictions, by_lesion
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.params import EvaluateParams
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.lesion_bootstrap import Estimate
from skinlesion.vocabulary import CLASSES

METRICS = (
    "balanced_accuracy", "macro_f1", "weighted_f1", "accuracy", "macro_auc", "malignant_auc",
    *(f"sensitivity_{name}" for name in CLASSES),
)  # fmt: skip


def lesion_table(tested: Predictions, settings: EvaluateParams) -> pd.DataFrame:
    """Return `unit, count, metric, value, low, high, undefined, note` for images, and for lesions by mean probability.

    Probabilities are those of the model, uncalibrated, as in metrics.json. Classes that are absent have no figure.
    """
    rows = []
    numbers = LesionNumbers.of(tested.labels, tested.lesions, CLASSES)
    for unit, predictions in (("image", tested), ("lesion", by_lesion(tested))):
        resampled = bootstrap(
            predictions.labels,
            [predictions.probabilities],
            predictions.lesions,
            METRICS,
            SCHEMA,
            replicates=settings.replicates,
            seed=settings.seed,
        )
        for name in METRICS:
            estimate = Estimate(resampled.estimate(0, name), resampled.draws(0, name))
            row = {"unit": unit, "count": len(predictions.labels), "metric": name}
            rows.append(row | judged(estimate, settings.confidence, too_few_lesions(numbers, name)))
    return pd.DataFrame(rows)
