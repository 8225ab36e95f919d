"""What every set of predictions gets, whoever made it: metrics with intervals, and curves."""

from pathlib import Path
from typing import Any

import numpy as np

from skinlesion.evaluation.calibration import fit_temperature
from skinlesion.evaluation.curves import confusion_table, roc_table
from skinlesion.evaluation.metrics import score
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.evaluation.runs import runs_of
from skinlesion.files import write_csv
from skinlesion.params import EvaluateParams
from skinlesion.stages.contracts import CONFUSION_NAME, PREDICTIONS_NAME, ROC_NAME, VALIDATION_NAME
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES, MALIGNANT

#: Every metric it knows gets an interval beside it in metrics.json.
SCHEMA = Schema(CLASSES, MALIGNANT)


def write_results(out: Path, settings: EvaluateParams) -> tuple[dict[str, float], dict[str, Any]]:
    """Write the curves of `out`/predictions.csv beside it; return its metrics and notes.

    The temperature is fitted on `out`/validation.csv, run by run, and its mean given.
    """
    # From the files, not from memory: whoever reads them computes the same figures.
    predictions, _ = read_predictions(out / PREDICTIONS_NAME)
    validation, _ = read_predictions(out / VALIDATION_NAME)
    write_csv(out / CONFUSION_NAME, confusion_table(predictions.labels, predictions.probabilities))
    write_csv(out / ROC_NAME, roc_table(predictions.labels, predictions.probabilities), float_format="%.6g")
    values, notes = summarise(predictions, settings)
    return values | {"temperature": mean_temperature(predictions, validation)}, notes


def mean_temperature(tested: Predictions, validation: Predictions) -> float:
    """Return the mean over runs of the temperature fitted on each run's validation part.

    Raises:
        UserError: validation predictions lack a run that was tested.
    """
    found = [
        fit_temperature(validation.labels[run.validation], validation.probabilities[run.layer, run.validation])
        for run in runs_of(tested, validation)
    ]
    return float(np.mean(found))


def summarise(
    predictions: Predictions, settings: EvaluateParams, schema: Schema = SCHEMA
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return metrics.json (without temperature) and notes.json of some predictions.

    A value is the mean over seeds of the metric on that seed's predictions, all folds pooled; intervals are
    percentile bootstraps over lesions. `schema` names the classes that labels and columns stand for.
    """
    by_seed = [
        score(predictions.labels, layer, settings.ece_bins, schema.class_names) for layer in predictions.probabilities
    ]
    undefined = {name: reason for scores in by_seed for name, reason in scores.undefined.items()}
    values = {
        name: float(np.mean([scores.values[name] for scores in by_seed]))
        for name in by_seed[0].values
        if name not in undefined
    }
    if len(by_seed) > 1:
        spread = [scores.values["balanced_accuracy"] for scores in by_seed]
        values["balanced_accuracy_seed_sd"] = float(np.std(spread, ddof=1))
    wanted = [name for name in schema.metrics() if name in values]
    resampled = bootstrap(
        predictions.labels,
        [predictions.probabilities],
        predictions.lesions,
        wanted,
        schema,
        replicates=settings.replicates,
        seed=settings.seed,
    )
    for name in wanted:
        interval = resampled.interval(0, name, settings.confidence)
        if np.isnan(interval.low):
            undefined[f"{name}_low"] = undefined[f"{name}_high"] = "no bootstrap replicate has a value"
        else:
            values[f"{name}_low"], values[f"{name}_high"] = interval.low, interval.high
    notes = {
        "undefined": undefined,
        "images": len(predictions.labels),
        "lesions": len(np.unique(predictions.lesions)),
        "folds": sorted({int(fold) for fold in predictions.folds}),
        "seeds": list(predictions.seeds),
        "interval": f"{settings.confidence:.0%} percentile bootstrap over lesions, {settings.replicates} replicates",
    }
    return values, notes
