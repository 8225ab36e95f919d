"""What is said of pairs of classifiers on the same images; `stats`, `compare` and `diff` all say it through here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.evaluation.predictions import Predictions
from skinlesion.stages.contracts import (
    BOOTSTRAP_METHOD,
    COMPARISON_COLUMNS,
    DELONG_METHOD,
    FOLD_METHOD,
    MCNEMAR_METHODS,
    NAIVE_METHOD,
    PERMUTATION_METHOD,
)
from skinlesion.stats.bootstrap import Bootstrap, Difference, bootstrap
from skinlesion.stats.clustered_mcnemar import clustered_mcnemar
from skinlesion.stats.delong import macro_auc_difference
from skinlesion.stats.flips import Flips, flips
from skinlesion.stats.mcnemar import mcnemar
from skinlesion.stats.multiplicity import benjamini_hochberg, holm
from skinlesion.stats.permutation import permutation_test
from skinlesion.stats.resampled import corrected_resampled_t
from skinlesion.stats.resampling import Schema
from skinlesion.stats.verdict import verdict
from skinlesion.vocabulary import CLASSES, MALIGNANT

SCHEMA = Schema(CLASSES, MALIGNANT)
TOST_CONFIDENCE = 0.90  # two one-sided tests at 5 %
TEST_PER_TRAINING = 2 / 7  # images of a test fold for each training image: two parts against seven


@dataclass(frozen=True)
class Plan:
    """How pairs are compared: fixed before anything runs."""

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
    """The rows of comparisons.csv, and the resamples behind them."""

    table: pd.DataFrame
    clustered: Bootstrap
    names: tuple[str, ...]


def compare(predictions: dict[str, Predictions], pairs: Sequence[tuple[str, str]], plan: Plan) -> Compared:
    """Compare models that were tested on the same images in the same order.

    Differences are b − a. A bootstrap judges the mean over a model's seeds; tests that need one answer an image
    (McNemar, DeLong, permutation) take the probabilities averaged over seeds, and their method says so.

    Raises:
        ValueError: predictions that the statistics refuse.
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
        rows += _fold_rows(a, b, by_fold[a], by_fold[b], plan)
    table = pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))
    table["p_adjusted"] = adjust(table, plan.primary)
    return Compared(table, clustered, names)


def pair_flips(a: Predictions, b: Predictions) -> list[Flips]:
    """Return the flips of every class between the seed-averaged answers of a and b."""
    answers = [one.probabilities.mean(axis=0).argmax(axis=1) for one in (a, b)]
    return flips(a.labels, answers[0], answers[1], a.image_ids, CLASSES)


def fold_values(one: Predictions, metric: str) -> np.ndarray:
    """Return the metric (mean over seeds) on each test fold."""
    values = []
    for fold in np.unique(one.folds):
        mine = one.folds == fold
        found = bootstrap(
            one.labels[mine], [one.probabilities[:, mine]], one.lesions[mine], [metric], SCHEMA, replicates=0
        )
        values.append(found.estimate(0, metric))
    return np.array(values)


def bootstrap_rows(
    a: str, b: str, names: tuple[str, ...], clustered: Bootstrap, naive: Bootstrap | None, plan: Plan
) -> list[dict[str, Any]]:
    """Return the rows of one pair, a metric at a time: clustered, and with images as independent where given."""
    rows, places = [], (names.index(a), names.index(b))
    for metric in clustered.metrics:
        found = clustered.difference(*places, metric, plan.confidence)
        tost = clustered.difference(*places, metric, TOST_CONFIDENCE)
        said = ""
        if not np.isnan(found.low):
            said = verdict((found.low, found.high), (tost.low, tost.high), plan.margin)
        rows.append(_row(a, b, metric, found, BOOTSTRAP_METHOD, said))
        if naive is not None:
            rows.append(_row(a, b, metric, naive.difference(*places, metric, plan.confidence), NAIVE_METHOD))
    return rows


def _test_rows(
    a: str, b: str, mean_a: np.ndarray, mean_b: np.ndarray, first: Predictions, plan: Plan
) -> list[dict[str, Any]]:
    labels, lesions = first.labels, first.lesions
    right_a, right_b = mean_a.argmax(axis=1) == labels, mean_b.argmax(axis=1) == labels
    base = {"a": a, "b": b, "low": np.nan, "high": np.nan, "verdict": ""}
    accuracy = {
        **base, "metric": "accuracy", "a_value": right_a.mean(), "b_value": right_b.mean(),
        "difference": right_b.mean() - right_a.mean(),
    }  # fmt: skip
    yang = clustered_mcnemar(right_a, right_b, lesions, "yang").pvalue
    rows = [{**accuracy, "p": yang, "method": MCNEMAR_METHODS["yang"]}]
    if plan.naive:
        for method in ("mid-p", "exact"):
            pvalue = mcnemar(right_a, right_b, method).pvalue
            rows.append({**accuracy, "p": pvalue, "method": MCNEMAR_METHODS[method]})
    if "macro_auc" in plan.metrics and len(np.unique(labels)) == len(CLASSES):
        auc = macro_auc_difference(labels, mean_a, mean_b, lesions, plan.confidence)
        rows.append({
            **base, "metric": "macro_auc", "a_value": auc.a, "b_value": auc.b, "difference": auc.difference,
            "low": auc.low, "high": auc.high, "p": auc.pvalue, "method": DELONG_METHOD,
        })  # fmt: skip
    values = [_single(labels, one, plan.primary) for one in (mean_a, mean_b)]
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
    differences = by_fold_b - by_fold_a if len(by_fold_a) == len(by_fold_b) else np.array([])
    if len(differences) < 2 or np.isnan(differences).any():
        return []
    found = corrected_resampled_t(differences, TEST_PER_TRAINING, plan.confidence)
    return [{
        "a": a, "b": b, "metric": plan.primary, "a_value": by_fold_a.mean(), "b_value": by_fold_b.mean(),
        "difference": found.difference, "low": found.low, "high": found.high, "p": found.pvalue,
        "method": FOLD_METHOD, "verdict": "",
    }]  # fmt: skip


def _single(labels: np.ndarray, probabilities: np.ndarray, metric: str) -> float:
    """Return a metric of one layer of predictions on the data as they are."""
    images = np.arange(len(labels))
    return bootstrap(labels, [probabilities[None]], images, [metric], SCHEMA, replicates=0).estimate(0, metric)


def _row(a: str, b: str, metric: str, found: Difference, method: str, said: str = "") -> dict[str, Any]:
    return {
        "a": a, "b": b, "metric": metric, "a_value": found.a, "b_value": found.b, "difference": found.difference,
        "low": found.low, "high": found.high, "p": found.pvalue, "method": method, "verdict": said,
    }  # fmt: skip


def adjust(table: pd.DataFrame, primary: str) -> pd.Series:
    """Return adjusted p-values: Holm over the pairs for the primary metric, Benjamini–Hochberg for the others."""
    adjusted = pd.Series(np.nan, index=table.index)
    for (metric, _), family in table.groupby(["metric", "method"]):
        p = family["p"].to_numpy(dtype=float)
        adjusted[family.index] = holm(p) if metric == primary else benjamini_hochberg(p)
    return adjusted
