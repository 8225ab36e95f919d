"""Sums of metrics over systems with an interval: a gain, a difference of gains, a class's share of a gain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skinlesion.analysis.columns import RECIPE, TRAINED
from skinlesion.evaluation.minimum_sizes import LesionNumbers, too_few_lesions
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.stats.influence import influences
from skinlesion.stats.linear_estimate import LinearEstimate, contrast, no_variance
from skinlesion.stats.recipe import describe_trainings, recipe
from skinlesion.vocabulary import CLASSES

#: Columns of effect.csv: `question` and `group` say what a row answers, `metric` of what; `about` is what its interval
#: allows for, `note` why it has none.
EFFECT_COLUMNS = (
    "question", "group", "metric", "value", "low", "high", "p", "about", "trainings", "images", "lesions", "classes",
    "note",
)  # fmt: skip


@dataclass(frozen=True)
class Term:
    """A coefficient times a metric of a system."""

    coefficient: float
    system: str
    metric: str


def gain(a: str, b: str, metric: str, factor: float = 1.0) -> list[Term]:
    """Return factor · (metric(b) − metric(a))."""
    return [Term(-factor, a, metric), Term(factor, b, metric)]


class Contrasts:
    """Systems on the same images, and sums of their metrics."""

    def __init__(
        self,
        systems: Mapping[str, Predictions],
        metrics: Sequence[str],
        confidence: float,
        weights: np.ndarray | None = None,
    ) -> None:
        """Compute every metric of every system.

        Args:
            systems: predictions of the same images in the same order, by name.
            metrics: names from the registry's schema.
            weights: (N,) of the images; those of weight 0 are left out, lesions of the rest counted.
        """
        first = next(iter(systems.values()))
        mask = np.ones(len(first.labels), dtype=bool) if weights is None else weights > 0
        self._trainings = {name: system.layers for name, system in systems.items()}
        self._confidence = confidence
        self._numbers = LesionNumbers.of(first.labels[mask], first.lesions[mask], CLASSES)
        self._about = {
            "images": int(mask.sum()),
            "lesions": self._numbers.total,
            "classes": " ".join(name for name, count in self._numbers.by_class.items() if count),
        }
        self._estimates = {
            name: influences(
                first.labels, system.probabilities, first.lesions, metrics, SCHEMA, weights=weights, by_layer=True
            )
            for name, system in systems.items()
        }

    def row(self, question: str, group: str, metric: str, terms: Sequence[Term]) -> dict[str, Any]:
        """Return the row of EFFECT_COLUMNS of a sum: over lesions and trainings where every system has several.

        A single term keeps the scale of its metric.
        """
        coefficients = [term.coefficient for term in terms]
        estimates = [self._estimates[term.system][term.metric] for term in terms]
        trainings = [self._trainings[term.system] for term in terms]
        recipe_estimate = recipe(coefficients, estimates, trainings)
        alone = len(terms) == 1 and coefficients[0] == 1
        judged = recipe_estimate or (estimates[0] if alone else contrast(coefficients, estimates))
        low, high = judged.interval(self._confidence)
        lacking = (too_few_lesions(self._numbers, term.metric) for term in terms)
        note = next(filter(None, lacking), "") or _undefined(estimates)
        if not note and np.isnan(low):
            note = no_variance(judged.value)
        return {
            "question": question, "group": group, "metric": metric, "value": judged.value,
            "low": np.nan if note else low, "high": np.nan if note else high,
            "p": np.nan if note or alone else judged.pvalue(), "about": TRAINED if recipe_estimate is None else RECIPE,
            "trainings": "; ".join(dict.fromkeys(map(describe_trainings, trainings))), **self._about, "note": note,
        }  # fmt: skip


def _undefined(estimates: Sequence[LinearEstimate]) -> str:
    return next((estimate.undefined for estimate in estimates if estimate.undefined), "")
