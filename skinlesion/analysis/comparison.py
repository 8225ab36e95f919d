"""Paired comparison of classifiers on the same images: bootstrap intervals, tests and verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.columns import (
    BOOTSTRAP_METHOD,
    COMPARISON_COLUMNS,
    DELONG_METHOD,
    FOLD_METHOD,
    MCNEMAR_METHODS,
    NAIVE_METHOD,
    PERMUTATION_METHOD,
)
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.registry import SCHEMA, metric_of
from skinlesion.folds import TEST_PARTS, TRAINING_PARTS
from skinlesion.stats.bootstrap import Bootstrap, Difference, bootstrap
from skinlesion.stats.clustered_mcnemar import clustered_mcnemar
from skinlesion.stats.delong import macro_auc_difference
from skinlesion.stats.mcnemar import Flips, flips, mcnemar
from skinlesion.stats.multiplicity import benjamini_hochberg, holm
from skinlesion.stats.permutation import permutation_test
from skinlesion.stats.resampled import corrected_resampled_t
from skinlesion.stats.verdict import verdict
from skinlesion.vocabulary import CLASSES

TOST_CONFIDENCE = 0.90  # two one-sided tests at 5 %
TEST_PER_TRAINING = TEST_PARTS / TRAINING_PARTS  # images of a test fold for each training image


@dataclass(frozen=True)
class Plan:
    """The plan of a comparison, fixed before anything runs."""

    metrics: tuple[str, ...]
    primary: str
    margin: float
    confidence: float
    replicates: int
    seed: int
    permutations: int = 0  # 0 leaves the permutation test out
    naive: bool = True  # rows that ignore lesions, to show the difference


@dataclass(frozen=True)
class Compared:
    """The rows of comparisons.csv, the bootstrap behind them, and the models it holds in their order."""

    table: pd.DataFrame
    clustered: Bootstrap
    names: tuple[str, ...]


def compare(predictions: dict[str, Predictions], pairs: Sequence[tuple[str, str]], plan: Plan) -> Compared:
    """Compare models that were tested on the same images in the same order.

    Differences are b − a. The bootstrap is of the mean over a model's seeds; tests that need one answer per image
    (McNemar, DeLong, permutation) take the probabilities averaged over seeds, and their method says so.

    Args:
        predictions: by model.
        pairs: models (a, b), all among `predictions`.

    Raises:
        ValueError: probabilities outside 0..1, rows that do not sum to one, or an unknown metric.
    """
    names = tuple(predictions)
    first = predictions[names[0]]
    models = [predictions[name].probabilities for name in names]
    settings: dict[str, Any] = {"replicates": plan.replicates, "seed": plan.seed}
    clustered = bootstrap(first.labels, models, first.lesions, plan.metrics, SCHEMA, **settings)
    images = np.arange(len(first.labels))
    naive = bootstrap(first.labels, models, images, plan.metrics, SCHEMA, **settings) if plan.naive else None
    mean = {name: predictions[name].probabilities.mean(axis=0) for name in names}
    by_fold = {name: fold_values(predictions[name], plan.primary) for name in names}
    rows: list[dict[str, Any]] = []
    for a, b in pairs:
        rows += bootstrap_rows(a, b, names, clustered, naive, plan)
        rows += _test_rows(a, b, mean[a], mean[b], first, plan)
        rows += _fold_rows(a, b, *shared_folds(by_fold[a], by_fold[b]), plan)
    table = pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))
    table["p_adjusted"] = adjust(table, plan.primary)
    return Compared(table, clustered, names)


def pair_flips(a: Predictions, b: Predictions) -> list[Flips]:
    """Return the flips of every class between the seed-averaged answers of a and b."""
    answers = [predictions.probabilities.mean(axis=0).argmax(axis=1) for predictions in (a, b)]
    return flips(a.labels, answers[0], answers[1], a.image_ids, CLASSES)


def fold_values(predictions: Predictions, metric: str) -> dict[tuple[int, int], float]:
    """Return the metric (mean over seeds) on each test fold of each repeat: (repeat, fold) → value."""
    values = {}
    repeats = np.array(predictions.repeats)
    for repeat in np.unique(repeats):
        layers = np.flatnonzero(repeats == repeat)
        folds = predictions.folds[layers[0]]
        for fold in np.unique(folds):
            rows = folds == fold
            probabilities, lesions = predictions.probabilities[layers][:, rows], predictions.lesions[rows]
            on_fold = bootstrap(predictions.labels[rows], [probabilities], lesions, [metric], SCHEMA, replicates=0)
            values[int(repeat), int(fold)] = on_fold.estimate(0, metric)
    return values


def shared_folds(
    a: Mapping[tuple[int, int], float], b: Mapping[tuple[int, int], float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of two models on the (repeat, fold) that both have, in order."""
    shared = sorted(a.keys() & b.keys())
    return np.array([a[key] for key in shared]), np.array([b[key] for key in shared])


def bootstrap_rows(
    a: str, b: str, names: tuple[str, ...], clustered: Bootstrap, naive: Bootstrap | None, plan: Plan
) -> list[dict[str, Any]]:
    """Return the rows of one pair per metric: clustered, and with images taken as independent where given."""
    rows, places = [], (names.index(a), names.index(b))
    for metric in clustered.metrics:
        difference = clustered.difference(*places, metric, plan.confidence)
        tost = clustered.difference(*places, metric, TOST_CONFIDENCE)
        judged = "" if np.isnan(difference.low) else _verdict(metric, difference, tost, plan.margin)
        rows.append(_row(a, b, metric, difference, BOOTSTRAP_METHOD, judged))
        if naive is not None:
            rows.append(_row(a, b, metric, naive.difference(*places, metric, plan.confidence), NAIVE_METHOD))
    return rows


def _verdict(metric: str, difference: Difference, tost: Difference, margin: float) -> str:
    """Return the verdict of b, for which a higher value is better or worse as the metric's direction says."""
    if metric_of(metric).higher_is_better:
        return verdict((difference.low, difference.high), (tost.low, tost.high), margin)
    return verdict((-difference.high, -difference.low), (-tost.high, -tost.low), margin)


def _test_rows(
    a: str, b: str, mean_a: np.ndarray, mean_b: np.ndarray, first: Predictions, plan: Plan
) -> list[dict[str, Any]]:
    labels, lesions = first.labels, first.lesions
    correct_a, correct_b = mean_a.argmax(axis=1) == labels, mean_b.argmax(axis=1) == labels
    base = {"a": a, "b": b, "low": np.nan, "high": np.nan, "verdict": ""}
    accuracy = {
        **base, "metric": "accuracy", "a_value": correct_a.mean(), "b_value": correct_b.mean(),
        "difference": correct_b.mean() - correct_a.mean(),
    }  # fmt: skip
    yang = clustered_mcnemar(correct_a, correct_b, lesions, "yang").pvalue
    rows = [{**accuracy, "p": yang, "method": MCNEMAR_METHODS["yang"]}]
    if plan.naive:
        for method in ("mid-p", "exact"):
            pvalue = mcnemar(correct_a, correct_b, method).pvalue
            rows.append({**accuracy, "p": pvalue, "method": MCNEMAR_METHODS[method]})
    if "macro_auc" in plan.metrics and len(np.unique(labels)) == len(CLASSES):
        auc = macro_auc_difference(labels, mean_a, mean_b, lesions, plan.confidence)
        rows.append({
            **base, "metric": "macro_auc", "a_value": auc.a, "b_value": auc.b, "difference": auc.difference,
            "low": auc.low, "high": auc.high, "p": auc.pvalue, "method": DELONG_METHOD,
        })  # fmt: skip
    values = [_single(labels, probabilities, plan.primary) for probabilities in (mean_a, mean_b)]
    if plan.permutations and not np.isnan(values).any():
        test = permutation_test(
            labels, mean_a, mean_b, lesions, [plan.primary], SCHEMA, permutations=plan.permutations, seed=plan.seed
        )[plan.primary]
        rows.append({
            **base, "metric": plan.primary, "a_value": values[0], "b_value": values[1],
            "difference": test.difference, "p": test.pvalue, "method": PERMUTATION_METHOD,
        })  # fmt: skip
    return rows


def _fold_rows(a: str, b: str, by_fold_a: np.ndarray, by_fold_b: np.ndarray, plan: Plan) -> list[dict[str, Any]]:
    """Return the corrected t-test over folds, where there are several and the metric is defined on each."""
    differences = by_fold_b - by_fold_a
    if len(differences) < 2 or np.isnan(differences).any():
        return []
    test = corrected_resampled_t(differences, TEST_PER_TRAINING, plan.confidence)
    return [{
        "a": a, "b": b, "metric": plan.primary, "a_value": by_fold_a.mean(), "b_value": by_fold_b.mean(),
        "difference": test.difference, "low": test.low, "high": test.high, "p": test.pvalue,
        "method": FOLD_METHOD, "verdict": "",
    }]  # fmt: skip


def _single(labels: np.ndarray, probabilities: np.ndarray, metric: str) -> float:
    """Return a metric of one layer of predictions on the data as they are."""
    images = np.arange(len(labels))
    return bootstrap(labels, [probabilities[None]], images, [metric], SCHEMA, replicates=0).estimate(0, metric)


def _row(a: str, b: str, metric: str, difference: Difference, method: str, judged: str = "") -> dict[str, Any]:
    return {
        "a": a, "b": b, "metric": metric, "a_value": difference.a, "b_value": difference.b,
        "difference": difference.difference, "low": difference.low, "high": difference.high, "p": difference.pvalue,
        "method": method, "verdict": judged,
    }  # fmt: skip


def adjust(table: pd.DataFrame, primary: str) -> pd.Series:
    """Return adjusted p-values: Holm over the pairs for the primary metric, Benjamini–Hochberg for the others."""
    adjusted = pd.Series(np.nan, index=table.index)
    for (metric, _), family in table.groupby(["metric", "method"]):
        p = family["p"].to_numpy(dtype=float)
        adjusted[family.index] = holm(p) if metric == primary else benjamini_hochberg(p)
    return adjusted
