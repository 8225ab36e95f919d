"""Conformal sets: how often they hold the truth and how large they are, for all, by class and by subgroup."""

from typing import Any

import numpy as np
import pandas as pd

from skinlesion.evaluation.conformal import METHODS, ConformalSets, fit_conformal, one_per_lesion
from skinlesion.evaluation.runs import Run
from skinlesion.evaluation.subgroups import Group
from skinlesion.evaluation.sums import SumStatistic, mean, ratio
from skinlesion.stages.assessment.material import Material
from skinlesion.vocabulary import CLASSES

#: Promised over all cases, or within each class.
PROMISES = {"marginal": False, "by_class": True}


def fit_run(material: Material, run: Run, method: str, by_class: bool) -> ConformalSets:
    """Return the sets of one run, fitted on one random image of each lesion of its validation part."""
    rng = np.random.default_rng([material.evaluate.seed, run.seed, run.fold])
    rows = run.validation[one_per_lesion(material.validation.lesions[run.validation], rng)]
    return fit_conformal(
        method,
        material.validation.labels[rows],
        material.validation_calibrated[run.layer, rows],
        material.assess.coverage,
        by_class=by_class,
        smallest_class=material.assess.smallest_class,
        penalty=material.assess.raps_penalty,
        free_ranks=material.assess.raps_free_ranks,
    )


def conformal_table(material: Material, groups: list[Group]) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return `method, promise, column, group, images, metric, value, low, high, note`, and classes that were pooled.

    `column` is "all", "dx" (the true class) or a subgroup's. Metrics: `coverage` (share of images whose set holds the
    truth), `size` (answers in a set); for all also `coverage_by_lesion` (every lesion counts once, as promised),
    `single` and `empty` (shares of sets of one and of no answer).
    """
    labels = material.labels
    per_lesion = 1 / np.bincount(material.bootstrap.lesion)[material.bootstrap.lesion]
    cells = [("all", "all", np.ones(len(labels), dtype=bool))]
    cells += [("dx", name, labels == place) for place, name in enumerate(CLASSES) if (labels == place).any()]
    cells += [(group.column, group.name, group.rows) for group in groups]
    figures: dict[str, list[SumStatistic]] = {}
    about: dict[str, dict[str, Any]] = {}
    pooled: dict[str, list[str]] = {}
    for method in METHODS:
        for promise, by_class in PROMISES.items():
            sets, few = _sets(material, method, by_class)
            covered = np.take_along_axis(sets, labels[None, :, None], axis=2)[..., 0]
            sizes = sets.sum(axis=2)
            if few:
                pooled[f"{method}, {promise}"] = [CLASSES[one] for one in sorted(few)]
            for column, name, rows in cells:
                weight = rows.astype(float)
                made = {
                    "coverage": [ratio(weight * one, weight) for one in covered],
                    "size": [ratio(weight * one, weight) for one in sizes],
                }
                if column == "all":
                    made |= {
                        "coverage_by_lesion": [ratio(per_lesion * one, per_lesion) for one in covered],
                        "single": [mean(one == 1) for one in sizes],
                        "empty": [mean(one == 0) for one in sizes],
                    }
                note = ""
                if column == "dx" and CLASSES.index(name) in few:
                    note = f"threshold of all classes in {few[CLASSES.index(name)]} runs: too few lesions"
                for metric, statistics in made.items():
                    key = "\n".join((method, promise, column, name, metric))
                    figures[key] = statistics
                    about[key] = {
                        "method": method, "promise": promise, "column": column, "group": name,
                        "images": int(rows.sum()), "metric": metric, "note": note,
                    }  # fmt: skip
    rows_made = [about[key] | material.row(one) for key, one in material.estimates(figures).items()]
    columns = ["method", "promise", "column", "group", "images", "metric", "value", "low", "high", "note"]
    return pd.DataFrame(rows_made)[columns], pooled


def _sets(material: Material, method: str, by_class: bool) -> tuple[np.ndarray, dict[int, int]]:
    """Return the sets (S, N, 7) of the tested images, and how many runs pooled each class."""
    sets = np.zeros(material.calibrated.shape, dtype=bool)
    few: dict[int, int] = {}
    for run in material.runs():
        fitted = fit_run(material, run, method, by_class)
        sets[run.layer, run.tested] = fitted.sets(material.calibrated[run.layer, run.tested])
        for one in fitted.pooled:
            few[one] = few.get(one, 0) + 1
    return sets, few
