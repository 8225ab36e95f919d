"""Metrics of one model with their intervals: over lesions and trainings where there are several, else over lesions.

Which method holds in which regime was chosen by simulation: benchmarks/validity.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skinlesion.analysis.columns import RECIPE, TRAINED
from skinlesion.evaluation.approximations import approximate_interval
from skinlesion.evaluation.minimum_sizes import LesionNumbers, too_few_lesions, too_few_of
from skinlesion.evaluation.predictions import Predictions
from skinlesion.stats.influence import influences
from skinlesion.stats.linear_estimate import LinearEstimate
from skinlesion.stats.recipe import recipe
from skinlesion.stats.resampling import Schema


@dataclass(frozen=True)
class MetricInterval:
    """A metric in 0..1, the mean over trainings, and its limits, NaN where there are none.

    Attributes:
        about: what the interval is about: these trained models, or training the recipe again.
        note: why there is no interval; empty if there is one.
        caution: how far the interval is known to miss its level; empty where it keeps it.
    """

    value: float
    low: float
    high: float
    about: str
    note: str = ""
    caution: str = ""


def metric_intervals(
    predictions: Predictions, metrics: Sequence[str], schema: Schema, confidence: float
) -> dict[str, MetricInterval]:
    """Return the t interval of each metric.

    Args:
        predictions: with labels and probabilities of the classes of `schema`.
        metrics: names from `schema.metrics()`.
    """
    lesions = predictions.lesion_numbers
    estimates = influences(predictions.labels, predictions.probabilities, lesions, metrics, schema, by_layer=True)
    numbers = LesionNumbers.of(predictions.labels, lesions, schema.class_names)
    lacking = {name: too_few_lesions(numbers, name) or _too_few_called(name, estimates[name]) for name in estimates}
    return {
        name: _interval(estimate, predictions, lacking[name], approximate_interval(numbers, name), confidence)
        for name, estimate in estimates.items()
    }


def _interval(
    estimate: LinearEstimate, predictions: Predictions, lacking: str, caution: str, confidence: float
) -> MetricInterval:
    recipe_estimate = recipe([1], [estimate], [predictions.layers])
    about = TRAINED if recipe_estimate is None else RECIPE
    low, high = (estimate if recipe_estimate is None else recipe_estimate).interval(confidence)
    note = lacking or estimate.undefined or ("every lesion is answered alike" if np.isnan(low) else "")
    if note:
        return MetricInterval(estimate.value, float("nan"), float("nan"), about, note)
    # A t interval on a linear scale knows no bounds.
    cautions = "; ".join(filter(None, ("" if recipe_estimate is None else recipe_estimate.caution, caution)))
    return MetricInterval(estimate.value, max(low, 0.0), min(high, 1.0), about, caution=cautions)


def _too_few_called(name: str, estimate: LinearEstimate) -> str:
    """Return why a precision has no interval: the class was given to too few lesions, or ""."""
    family, _, dx = name.rpartition("_")
    if family != "precision" or estimate.undefined:
        return ""
    return too_few_of({f"called {dx}": int(estimate.lesions)})
