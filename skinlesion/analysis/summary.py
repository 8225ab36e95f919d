"""The summary of one set of predictions: metrics with intervals, notes, and the mean temperature."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skinlesion.evaluation.metrics import score
from skinlesion.evaluation.minimum_sizes import LesionNumbers, replicates_say_nothing, too_few_lesions
from skinlesion.evaluation.predictions import Predictions, restrict_classes, runs_of
from skinlesion.evaluation.recalibration import fit_temperature
from skinlesion.evaluation.registry import SCHEMA, make_schema
from skinlesion.params import EvaluateParams
from skinlesion.stats.bootstrap import Bootstrap, bootstrap
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
    metric of `schema` has an interval, the percentile bootstrap over lesions, unless lesions are too few or replicates
    say nothing: `without_interval` gives the reason. `schema` names the classes of labels and columns.
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
    resampled = bootstrap(
        predictions.labels,
        [predictions.probabilities],
        predictions.lesions,
        wanted,
        schema,
        replicates=settings.replicates,
        seed=settings.seed,
    )
    numbers = LesionNumbers.of(predictions.labels, predictions.lesions, schema.class_names)
    limits, without_interval = _limits(resampled, wanted, numbers, settings.confidence)
    values |= limits
    undefined_replicates = {name: resampled.interval(0, name).undefined for name in wanted}
    notes = {
        "undefined": undefined,
        "without_interval": without_interval,
        "undefined_replicates": {name: count for name, count in undefined_replicates.items() if count},
        "images": len(predictions.labels),
        "lesions": len(np.unique(predictions.lesions)),
        **predictions.runs_tested,
        "confidence": settings.confidence,
        "replicates": settings.replicates,
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


def _limits(
    resampled: Bootstrap, names: Sequence[str], numbers: LesionNumbers, confidence: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Return `<name>_low` and `<name>_high` of the metrics that have an interval, and why the others have none."""
    limits: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name in names:
        interval = resampled.interval(0, name, confidence)
        reason = too_few_lesions(numbers, name) or replicates_say_nothing(
            interval.estimate, interval.low, interval.high, interval.undefined, len(resampled.replicates[0])
        )
        if reason:
            reasons[name] = reason
        else:
            limits |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return limits, reasons


def summarise_external(predictions: Predictions, settings: EvaluateParams) -> tuple[dict[str, float], dict[str, str]]:
    """Return the metrics of external predictions among the classes they show, and reasons for what has none.

    `open_…` are the same with all seven classes to choose from, as in use.
    """
    present = tuple(name for position, name in enumerate(CLASSES) if (predictions.labels == position).any())
    values, notes = summarise(restrict_classes(predictions, present), settings, make_schema(present))
    wanted = [*_OPEN, *(f"sensitivity_{name}" for name in present)]
    resampled = bootstrap(
        predictions.labels,
        [predictions.probabilities],
        predictions.lesions,
        wanted,
        SCHEMA,
        replicates=settings.replicates,
        seed=settings.seed,
    )
    limits, _ = _limits(
        resampled, wanted, LesionNumbers.of(predictions.labels, predictions.lesions, CLASSES), settings.confidence
    )
    values |= {f"open_{name}": resampled.estimate(0, name) for name in wanted}
    values |= {f"open_{name}": limit for name, limit in limits.items()}
    values["images"], values["lesions"] = notes["images"], notes["lesions"]
    return values, notes["undefined"] | {f"{name}_low": reason for name, reason in notes["without_interval"].items()}
