"""Paired comparison of classifiers on the same images: differences, intervals and tests, before they are judged.

Every row of a pair answers the same question, about the mean over a model's trainings. Two kinds of uncertainty stand
side by side: of these trained models (other lesions), and of training the recipes again (other lesions, seeds and
partitions). `judgement` decides which rows carry a verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.columns import (
    BOOTSTRAP_METHOD,
    COMPARISON_COLUMNS,
    FOLD_METHOD,
    JUDGED_COLUMNS,
    LINEAR_METHOD,
    MCNEMAR_METHODS,
    NAIVE_METHOD,
    PERMUTATION_METHOD,
    RECIPE,
    RECIPE_METHOD,
    TRAINED,
)
from skinlesion.analysis.judgement import ComparedDifference, Key
from skinlesion.analysis.plan import Plan
from skinlesion.evaluation.approximations import approximate_bootstrap, approximate_difference
from skinlesion.evaluation.minimum_sizes import LesionNumbers, too_few_lesions
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.stats.bootstrap import Bootstrap, bootstrap
from skinlesion.stats.clustered_mcnemar import clustered_mcnemar
from skinlesion.stats.influence import influences
from skinlesion.stats.linear_estimate import LinearEstimate, contrast
from skinlesion.stats.mcnemar import Flips, flips
from skinlesion.stats.permutation import permutation_test
from skinlesion.stats.recipe import recipe
from skinlesion.stats.resampled import corrected_resampled_t, matched_folds
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES

_NOT_JUDGED = [name for name in COMPARISON_COLUMNS if name not in JUDGED_COLUMNS]


@dataclass(frozen=True)
class Compared:
    """The rows of comparisons.csv without their verdicts, and the differences that verdicts rest on."""

    table: pd.DataFrame
    differences: dict[Key, ComparedDifference]


def compare(
    predictions: Mapping[str, Predictions],
    pairs: Sequence[tuple[str, str]],
    plan: Plan,
    schema: Schema = SCHEMA,
) -> Compared:
    """Compare models that were tested on the same images in the same order. Differences are b − a.

    Args:
        predictions: by model.
        pairs: models (a, b), all among `predictions`.
        schema: the classes of labels and columns, and the metrics there are.

    Raises:
        ValueError: probabilities outside 0..1, rows that do not sum to one, or an unknown metric.
    """
    names = tuple(predictions)
    first = predictions[names[0]]
    metrics = tuple(dict.fromkeys(metric for a, b in pairs for metric in plan.metrics_of(a, b)))
    estimates = {name: _estimates(predictions[name], first.lesion_numbers, metrics, schema) for name in names}
    naive = {}
    if plan.naive:
        images = np.arange(len(first.labels))
        naive = {name: _estimates(predictions[name], images, metrics, schema) for name in names}
    resampled = None
    if replicates := plan.replicates_for(len(first.labels)):
        models = [predictions[name].probabilities for name in names]
        resampled = bootstrap(
            first.labels, models, first.lesion_numbers, metrics, schema, replicates=replicates, seed=plan.seed
        )
    numbers = LesionNumbers.of(first.labels, first.lesion_numbers, schema.class_names)
    ids = np.unique(first.lesions)
    rows: list[dict[str, Any]] = []
    differences: dict[Key, ComparedDifference] = {}
    for a, b in pairs:
        for metric in plan.metrics_of(a, b):
            difference = contrast([-1, 1], [estimates[a][metric], estimates[b][metric]])
            recipe_estimate = recipe(
                [-1, 1], [estimates[a][metric], estimates[b][metric]], [predictions[a].layers, predictions[b].layers]
            )
            differences[a, b, metric] = ComparedDifference(
                ids, difference, recipe_estimate, too_few_lesions(numbers, metric)
            )
            base: dict[str, Any] = {"a": a, "b": b, "metric": metric}
            base |= {"a_value": estimates[a][metric].value, "b_value": estimates[b][metric].value}
            caution = {"caution": approximate_difference(numbers, metric)}
            if recipe_estimate is not None:
                rows.append(base | _row(recipe_estimate, RECIPE_METHOD, RECIPE, plan.confidence) | caution)
                rows[-1]["caution"] = "; ".join(filter(None, (recipe_estimate.caution, caution["caution"])))
            rows.append(base | _row(difference, LINEAR_METHOD, TRAINED, plan.confidence) | caution)
            if resampled is not None:
                drawn = _bootstrap_row(resampled, names.index(a), names.index(b), metric, plan.confidence)
                rows.append(base | drawn | {"caution": approximate_bootstrap(numbers, metric)})
            if naive:
                counted = contrast([-1, 1], [naive[a][metric], naive[b][metric]])
                rows.append(base | _row(counted, NAIVE_METHOD, TRAINED, plan.confidence))
        rows += _test_rows(a, b, predictions, plan, schema)
        rows += _fold_rows(a, b, predictions, plan, schema)
    table = pd.DataFrame(rows, columns=_NOT_JUDGED)
    return Compared(table.assign(caution=table["caution"].astype(object).fillna("")), differences)


def pair_flips(a: Predictions, b: Predictions) -> list[Flips]:
    """Return the flips of every class between the answers of a and b, each from the mean over its trainings."""
    answers = [predictions.probabilities.mean(axis=0).argmax(axis=1) for predictions in (a, b)]
    return flips(a.labels, answers[0], answers[1], a.image_ids, CLASSES)


def paired_folds(a: Predictions, b: Predictions, metric: str, schema: Schema = SCHEMA) -> tuple[np.ndarray, np.ndarray]:
    """Return a metric (mean over seeds) of two models on the test folds that hold the same images in both.

    Two empty arrays where their partitions differ: the folds of other partitions test other images.
    """
    values: tuple[list[float], list[float]] = ([], [])
    for repeat in sorted(set(a.repeats) & set(b.repeats)):
        folds = [model.folds[model.repeats.index(repeat)] for model in (a, b)]
        if not matched_folds(*folds):
            continue
        for fold in np.unique(folds[0]):
            rows = folds[0] == fold
            for model, on_folds in zip((a, b), values, strict=True):
                layers = [layer for layer, layer_repeat in enumerate(model.repeats) if layer_repeat == repeat]
                on_folds.append(_value(model.labels[rows], model.probabilities[layers][:, rows], metric, schema))
    return np.array(values[0]), np.array(values[1])


def _estimates(
    predictions: Predictions, clusters: np.ndarray, metrics: Sequence[str], schema: Schema
) -> dict[str, LinearEstimate]:
    return influences(predictions.labels, predictions.probabilities, clusters, metrics, schema, by_layer=True)


def _row(estimate: Any, method: str, about: str, confidence: float) -> dict[str, Any]:
    low, high = estimate.interval(confidence)
    return {
        "difference": estimate.value, "low": low, "high": high, "p": estimate.pvalue(), "method": method,
        "about": about, "undefined": 0,
    }  # fmt: skip


def _bootstrap_row(resampled: Bootstrap, a: int, b: int, metric: str, confidence: float) -> dict[str, Any]:
    drawn = resampled.difference(a, b, metric, confidence)
    return {
        "difference": drawn.difference, "low": drawn.low, "high": drawn.high, "p": drawn.pvalue,
        "method": BOOTSTRAP_METHOD, "about": TRAINED, "undefined": drawn.undefined,
    }  # fmt: skip


def _test_rows(
    a: str, b: str, predictions: Mapping[str, Predictions], plan: Plan, schema: Schema
) -> list[dict[str, Any]]:
    """Return tests without an interval: McNemar of the accuracy, and the permutation test of the primary metric."""
    models = [predictions[a], predictions[b]]
    labels, lesions = models[0].labels, models[0].lesions
    correct = [model.probabilities.argmax(axis=2) == labels for model in models]  # (L, N)
    values = [float(hits.mean()) for hits in correct]
    base = {"a": a, "b": b, "low": np.nan, "high": np.nan, "about": TRAINED, "undefined": 0}
    accuracy = base | {
        "metric": "accuracy", "a_value": values[0], "b_value": values[1], "difference": values[1] - values[0],
    }  # fmt: skip
    clusterings = {"clustered": lesions} | ({"naive": np.arange(len(labels))} if plan.naive else {})
    rows = [
        {**accuracy, "p": clustered_mcnemar(correct[0], correct[1], units).pvalue, "method": MCNEMAR_METHODS[name]}
        for name, units in clusterings.items()
    ]
    if not plan.permutations or len(models[0].layers) != len(models[1].layers):
        return rows
    shares = [_value(labels, model.probabilities, plan.primary, schema) for model in models]
    if not np.isnan(shares).any():
        test = permutation_test(
            labels, models[0].probabilities, models[1].probabilities, lesions, [plan.primary], schema,
            permutations=plan.permutations, seed=plan.seed,
        )[plan.primary]  # fmt: skip
        rows.append({
            **base, "metric": plan.primary, "a_value": shares[0], "b_value": shares[1],
            "difference": test.difference, "p": test.pvalue, "method": PERMUTATION_METHOD,
        })  # fmt: skip
    return rows


def _fold_rows(
    a: str, b: str, predictions: Mapping[str, Predictions], plan: Plan, schema: Schema
) -> list[dict[str, Any]]:
    """Return the corrected t-test over folds, where both have the same, several, and the metric is defined on each."""
    if plan.test_per_training is None:
        return []
    values_a, values_b = paired_folds(predictions[a], predictions[b], plan.primary, schema)
    differences = values_b - values_a
    if len(differences) < 2 or np.isnan(differences).any():
        return []
    test = corrected_resampled_t(differences, plan.test_per_training, plan.confidence)
    return [{
        "a": a, "b": b, "metric": plan.primary, "a_value": values_a.mean(), "b_value": values_b.mean(),
        "difference": test.difference, "low": test.low, "high": test.high, "p": test.pvalue,
        "method": FOLD_METHOD, "about": RECIPE, "undefined": 0,
    }]  # fmt: skip


def _value(labels: np.ndarray, probabilities: np.ndarray, metric: str, schema: Schema) -> float:
    """Return a metric of probabilities (L, N, C) on the data as they are, the mean over layers."""
    images = np.arange(len(labels))
    return bootstrap(labels, [probabilities], images, [metric], schema, replicates=0).estimate(0, metric)
