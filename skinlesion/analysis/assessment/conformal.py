"""Table of conformal sets: their coverage and size over all images, by class and by subgroup."""

from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.assessment.inputs import AssessmentInputs, with_note
from skinlesion.evaluation.conformal import METHODS, ConformalSets, fit_conformal, one_per_lesion
from skinlesion.evaluation.predictions import Run
from skinlesion.evaluation.subgroups import Group
from skinlesion.evaluation.sums import SumStatistic, mean, ratio
from skinlesion.vocabulary import CLASSES

#: What a set's coverage is guaranteed for: all cases together, or each class.
PROMISES = {"marginal": False, "by_class": True}


def fit_run(inputs: AssessmentInputs, run: Run, method: str, by_class: bool) -> ConformalSets:
    """Return the sets of one run, fitted on one random image of each lesion of its validation part."""
    rng = np.random.default_rng([inputs.evaluate.seed, run.seed, run.fold, run.repeat])
    rows = run.validation[one_per_lesion(inputs.validation.lesion_numbers[run.validation], rng)]
    return fit_conformal(
        method,
        inputs.validation.labels[rows],
        inputs.validation_calibrated[run.layer, rows],
        inputs.assess.coverage,
        by_class=by_class,
        smallest_class=inputs.assess.smallest_class,
        penalty=inputs.assess.raps_penalty,
        free_ranks=inputs.assess.raps_free_ranks,
    )


def conformal_table(inputs: AssessmentInputs, groups: list[Group]) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return `method, promise, column, group, images, metric, value, low, high, undefined, note`, and pooled classes.

    `column` is "all", "dx" (the true class) or a subgroup's. Metrics: `coverage` (share of images whose set holds the
    truth), `size` (classes in a set); for all also `coverage_by_lesion` (every lesion counts once, as guaranteed),
    `single` and `empty` (shares of sets with one class and with none).
    """
    labels = inputs.labels
    per_lesion = 1 / np.bincount(inputs.bootstrap.lesion)[inputs.bootstrap.lesion]
    cells = [("all", "all", np.ones(len(labels), dtype=bool))]
    cells += [("dx", name, labels == place) for place, name in enumerate(CLASSES) if (labels == place).any()]
    cells += [(group.column, group.name, group.rows) for group in groups]
    lacking = {(column, name): inputs.lacking({name: rows}) for column, name, rows in cells}
    figures: dict[tuple[str, ...], list[SumStatistic]] = {}
    about: dict[tuple[str, ...], dict[str, Any]] = {}
    pooled: dict[str, list[str]] = {}
    for method in METHODS:
        for promise, by_class in PROMISES.items():
            sets, few = _sets(inputs, method, by_class)
            covered = np.take_along_axis(sets, labels[None, :, None], axis=2)[..., 0]
            sizes = sets.sum(axis=2)
            if few:
                pooled[f"{method}, {promise}"] = [CLASSES[place] for place in sorted(few)]
            for column, name, rows in cells:
                weight = rows.astype(float)
                by_metric = {
                    "coverage": [ratio(weight * layer, weight) for layer in covered],
                    "size": [ratio(weight * layer, weight) for layer in sizes],
                }
                if column == "all":
                    by_metric |= {
                        "coverage_by_lesion": [ratio(per_lesion * layer, per_lesion) for layer in covered],
                        "single": [mean(layer == 1) for layer in sizes],
                        "empty": [mean(layer == 0) for layer in sizes],
                    }
                note = ""
                if column == "dx" and CLASSES.index(name) in few:
                    note = f"threshold of all classes in {few[CLASSES.index(name)]} runs: too few lesions"
                for metric, statistics in by_metric.items():
                    key = (method, promise, column, name, metric)
                    figures[key] = statistics
                    about[key] = {
                        "method": method, "promise": promise, "column": column, "group": name,
                        "images": int(rows.sum()), "metric": metric, "note": note,
                    }  # fmt: skip
    table = [
        with_note(about[key], inputs.row(estimate, lacking[key[2], key[3]]))
        for key, estimate in inputs.estimates(figures).items()
    ]
    columns = ["method", "promise", "column", "group", "images", "metric", "value", "low", "high", "undefined", "note"]
    return pd.DataFrame(table)[columns], pooled


def _sets(inputs: AssessmentInputs, method: str, by_class: bool) -> tuple[np.ndarray, dict[int, int]]:
    """Return the sets (S, N, 7) of the tested images, and how many runs pooled each class."""
    sets = np.zeros(inputs.calibrated.shape, dtype=bool)
    few: dict[int, int] = {}
    for run in inputs.runs():
        fitted = fit_run(inputs, run, method, by_class)
        sets[run.layer, run.tested] = fitted.sets(inputs.calibrated[run.layer, run.tested])
        for place in fitted.pooled:
            few[place] = few.get(place, 0) + 1
    return sets, few
