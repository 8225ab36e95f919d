"""stats: every pair of experiments on the same images, with intervals that respect lesions."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.files import write_csv, write_json
from skinlesion.params import Params
from skinlesion.stages.contracts import BOOTSTRAP_METHOD, COMPARISON_COLUMNS
from skinlesion.stages.workspace import Workspace
from skinlesion.stats.bootstrap import Difference, bootstrap
from skinlesion.stats.mcnemar import mcnemar
from skinlesion.stats.multiplicity import holm
from skinlesion.vocabulary import CLASSES


def stats(params: Params, workspace: Workspace) -> pd.DataFrame:
    """Write reports/stats/comparisons.csv and stats.json; return the comparisons.

    Differences are b − a. p_adjusted is Holm's over the pairs, within a metric and method.

    Raises:
        UserError: an experiment's predictions are missing.
    """
    predictions = {
        name: read_predictions(workspace.results(name) / "predictions.csv")[0] for name in params.experiments
    }
    pairs = [tuple(pair) for pair in params.stats.pairs or combinations(params.experiments, 2)]
    rows, skipped = [], []
    for group in _same_images(predictions):
        inside = [(a, b) for a, b in pairs if a in group and b in group]
        if inside:
            rows += _compare(group, predictions, inside, params)
    for a, b in pairs:
        if not _same(predictions[a], predictions[b]):
            skipped.append(f"{a} and {b} were tested on different images")
    comparisons = pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))
    comparisons["p_adjusted"] = comparisons.groupby(["metric", "method"])["p"].transform(lambda p: holm(p.to_numpy()))
    comparisons = comparisons.sort_values(["metric", "method", "a", "b"], ignore_index=True)
    out = workspace.reports / "stats"
    write_csv(out / "comparisons.csv", comparisons, float_format="%.9g")
    write_json(out / "stats.json", _summary(params, predictions, comparisons, skipped))
    return comparisons


def _same(a: Predictions, b: Predictions) -> bool:
    return len(a.image_ids) == len(b.image_ids) and bool((a.image_ids == b.image_ids).all())


def _same_images(predictions: dict[str, Predictions]) -> list[list[str]]:
    """Return the experiments in groups that were tested on the same images."""
    groups: list[list[str]] = []
    for name, own in predictions.items():
        home = next((group for group in groups if _same(predictions[group[0]], own)), None)
        if home is None:
            groups.append([name])
        else:
            home.append(name)
    return groups


def _compare(
    group: list[str], predictions: dict[str, Predictions], pairs: list[tuple[str, str]], params: Params
) -> list[dict[str, Any]]:
    first, settings = predictions[group[0]], params.stats
    for name in group:
        if not (predictions[name].labels == first.labels).all():
            raise UserError(f"reports/runs/{name}: diagnoses differ from {group[0]}'s; run `dvc repro`")
    resampled = bootstrap(
        first.labels,
        [predictions[name].probabilities for name in group],
        first.lesions,
        settings.metrics,
        class_names=CLASSES,
        replicates=settings.replicates,
        seed=settings.seed,
    )
    # One answer an image for McNemar's test: the class with the highest probability, averaged over seeds.
    correct = {name: predictions[name].probabilities.mean(axis=0).argmax(axis=1) == first.labels for name in group}
    rows: list[dict[str, Any]] = []
    for a, b in pairs:
        for metric in settings.metrics:
            difference = resampled.difference(group.index(a), group.index(b), metric, settings.confidence)
            rows.append(_row(a, b, metric, difference))
        for method in ("exact", "mid-p"):
            result = mcnemar(correct[a], correct[b], method)
            values = float(correct[a].mean()), float(correct[b].mean())
            rows.append(
                {
                    "a": a, "b": b, "metric": "accuracy", "a_value": values[0], "b_value": values[1],
                    "difference": values[1] - values[0], "low": np.nan, "high": np.nan, "p": result.pvalue,
                    "method": f"McNemar {method}, images taken as independent, mean over seeds", "verdict": "",
                }
            )  # fmt: skip
    return rows


def _row(a: str, b: str, metric: str, found: Difference) -> dict[str, Any]:
    verdict = "superior" if found.low > 0 else "inferior" if found.high < 0 else "inconclusive"
    return {
        "a": a, "b": b, "metric": metric, "a_value": found.a, "b_value": found.b, "difference": found.difference,
        "low": found.low, "high": found.high, "p": found.pvalue, "method": BOOTSTRAP_METHOD, "verdict": verdict,
    }  # fmt: skip


def _summary(
    params: Params, predictions: dict[str, Predictions], comparisons: pd.DataFrame, skipped: list[str]
) -> dict[str, Any]:
    primary = comparisons[(comparisons["metric"] == params.stats.primary) & (comparisons["method"] == BOOTSTRAP_METHOD)]
    return {
        "experiments": len(predictions),
        "comparisons": len(primary),
        "conclusive": int((primary["verdict"] != "inconclusive").sum()),
        "replicates": params.stats.replicates,
        "seed": params.stats.seed,
        "primary": params.stats.primary,
        "skipped": skipped,
    }
