"""The summary of one set of predictions: metrics with intervals, notes, and the mean temperature."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from skinlesion.analysis.columns import RECIPE
from skinlesion.analysis.metric_intervals import MetricInterval, metric_intervals
from skinlesion.evaluation.metrics import score
from skinlesion.evaluation.predictions import Predictions, restrict_classes, runs_of
from skinlesion.evaluation.recalibration import fit_temperature
from skinlesion.evaluation.registry import SCHEMA, make_schema
from skinlesion.params import EvaluateParams
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES

#: Of external data, also with all seven classes to choose from, as in use, though the data show only some of them.
_OPEN = ("balanced_accuracy", "accuracy")


def mean_temperature(tested: Predictions, validation: Predictions) -> float:
    """Return the mean over runs of the temperature fitted on each run's validation part.

    Raises:
        UserError: validation predictions lack a run that was tested.
    """
    temperatures = [
        fit_temperature(validation.labels[run.validation], validation.probabilities[run.layer, run.validation])
        for run in runs_of(tested, validation)
    ]
    return float(np.mean(temperatures))


def summarise(
    predictions: Predictions, settings: EvaluateParams, schema: Schema = SCHEMA
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return metrics.json (without temperature) and notes.json of some predictions.

    A value is the mean over layers (repeats and seeds) of the metric on a layer's predictions, all folds pooled. Every
    metric of `schema` has a t interval: over lesions and trainings where there are several, over lesions where there is
    one. `without_interval` gives the reason where it has none. `schema` names the classes of labels and columns.
    """
    by_layer = [
        score(predictions.labels, layer, settings.ece_bins, schema.class_names) for layer in predictions.probabilities
    ]
    undefined = {name: reason for scores in by_layer for name, reason in scores.undefined.items()}
    values = {
        name: float(np.mean([scores.values[name] for scores in by_layer]))
        for name in by_layer[0].values
        if name not in undefined
    }
    values |= _spread(predictions, np.array([scores.values["balanced_accuracy"] for scores in by_layer]))
    wanted = [name for name in schema.metrics() if name in values]
    intervals = metric_intervals(predictions, wanted, schema, settings.confidence)
    values |= _limits(intervals)
    over_trainings = any(interval.about == RECIPE for interval in intervals.values())
    notes = {
        "undefined": undefined,
        "without_interval": {name: interval.note for name, interval in intervals.items() if interval.note},
        "approximate": {name: interval.caution for name, interval in intervals.items() if interval.caution},
        "images": len(predictions.labels),
        "lesions": len(np.unique(predictions.lesions)),
        **predictions.runs_tested,
        "confidence": settings.confidence,
        "intervals": "over lesions and trainings" if over_trainings else "over lesions, for one training",
    }
    return values, notes


def _spread(predictions: Predictions, balanced_accuracy: np.ndarray) -> dict[str, float]:
    """Return standard deviations of the balanced accuracy (L,): over seeds of one partition, and over partitions.

    The first is pooled over partitions; the second is of partitions' means over seeds, and so holds a share of the
    first.
    """
    repeats = np.array(predictions.repeats)
    by_repeat = [balanced_accuracy[repeats == repeat] for repeat in np.unique(repeats)]
    spread = {}
    degrees = sum(len(values) - 1 for values in by_repeat)
    if degrees:
        squares = sum(float(((values - values.mean()) ** 2).sum()) for values in by_repeat)
        spread["balanced_accuracy_seed_sd"] = float(np.sqrt(squares / degrees))
    if len(by_repeat) > 1:
        means = [values.mean() for values in by_repeat]
        spread["balanced_accuracy_partition_sd"] = float(np.std(means, ddof=1))
    return spread


def _limits(intervals: Mapping[str, MetricInterval]) -> dict[str, float]:
    """Return `<name>_low` and `<name>_high` of the metrics that have an interval."""
    defined = {name: interval for name, interval in intervals.items() if not interval.note}
    return {f"{name}_low": interval.low for name, interval in defined.items()} | {
        f"{name}_high": interval.high for name, interval in defined.items()
    }


def summarise_external(predictions: Predictions, settings: EvaluateParams) -> tuple[dict[str, float], dict[str, str]]:
    """Return the metrics of external predictions among the classes they show, and reasons for what has none.

    `open_…` are the same with all seven classes to choose from, as in use.
    """
    present = tuple(name for position, name in enumerate(CLASSES) if (predictions.labels == position).any())
    values, notes = summarise(restrict_classes(predictions, present), settings, make_schema(present))
    wanted = [*_OPEN, *(f"sensitivity_{name}" for name in present)]
    intervals = metric_intervals(predictions, wanted, SCHEMA, settings.confidence)
    values |= {f"open_{name}": interval.value for name, interval in intervals.items()}
    values |= {f"open_{name}": limit for name, limit in _limits(intervals).items()}
    values["images"], values["lesions"] = notes["images"], notes["lesions"]
    return values, notes["undefined"] | {f"{name}_low": reason for name, reason in notes["without_interval"].items()}
