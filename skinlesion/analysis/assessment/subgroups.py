"""Table of performance within subgroups of patients and images, against the rest, and the worst subgroup."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.assessment.decisions import thresholds
from skinlesion.analysis.assessment.inputs import AssessmentInputs, with_note
from skinlesion.evaluation.decisions import cases_of, malignant_positions, risk_of
from skinlesion.evaluation.subgroups import Group
from skinlesion.evaluation.sums import SumStatistic, Totals, divide
from skinlesion.stats.counts import WHOLE, Counts, sensitivity
from skinlesion.stats.lesion_bootstrap import Estimate, mean_estimate
from skinlesion.stats.multiplicity import holm_of_defined
from skinlesion.stats.weighted_auc import plan_auc, weighted_auc
from skinlesion.vocabulary import CLASSES

#: A figure of a group: column, group, metric, and whether it is of the group itself or of the rest.
_Key = tuple[str, str, str, bool]

COLUMNS = (
    "column", "group", "images", "lesions", "metric", "value", "low", "high", "rest", "gap", "gap_low", "gap_high",
    "p", "p_adjusted", "worst", "classes", "undefined", "note",
)  # fmt: skip

#: Metrics whose best value is 0, or 1: the worst group is the farthest from it. Of the others, higher is better.
_BEST = {"confidence_minus_accuracy": 0.0, "observed_to_expected_malignant": 1.0}


def subgroup_table(inputs: AssessmentInputs, groups: list[Group]) -> pd.DataFrame:
    """Return one row per group and metric (COLUMNS): value, that of the rest, the gap, its Holm-adjusted p-value.

    Balanced accuracy and macro F1 of a group and of its rest are over the same classes (`classes`), those of which
    both have `assess.smallest_cases` lesions; where the rest has too few, the group's figure has no gap. A group of
    fewer lesions than `assess.smallest_group` keeps its row with a note; a figure of too few cases is left empty with
    a note.
    """
    calls = risk_of("malignant", inputs.calibrated) >= thresholds(
        inputs, "malignant", "specificity", inputs.assess.operating_points[0]
    )
    rows: list[dict[str, Any]] = []
    figures: dict[_Key, list[SumStatistic]] = {}
    pending: list[dict[str, Any]] = []
    for group in groups:
        lesions = len(np.unique(inputs.bootstrap.lesion[group.rows]))
        about = {"column": group.column, "group": group.name, "images": int(group.rows.sum()), "lesions": lesions}
        if lesions < inputs.assess.smallest_group:
            rows.append(about | {"note": f"too small: fewer than {inputs.assess.smallest_group} lesions"})
            continue
        group_figures = _GroupFigures(inputs, group.rows, calls)
        for wanted in group_figures.metrics():
            entry: dict[str, Any] = about | {
                "metric": wanted.metric, "classes": " ".join(wanted.classes), "note": wanted.note,
            }  # fmt: skip
            sides = [True] if wanted.alone else [True, False]  # inside the group, and the rest
            if not wanted.empty and wanted.metric == "malignant_auc":
                entry["pair"] = [_auc(inputs, group.rows == inside) for inside in sides]
            elif not wanted.empty:
                entry["keys"] = [(group.column, group.name, wanted.metric, inside) for inside in sides]
                for key in entry["keys"]:
                    figures[key] = group_figures.statistics(wanted.metric, wanted.classes, inside=key[3])
            pending.append(entry)
    estimates = inputs.estimates(figures)
    for entry in pending:
        pair: list[Estimate] = entry.pop("pair", []) + [estimates[key] for key in entry.pop("keys", [])]
        rows.append(with_note(entry, _compared(inputs, *pair)) if pair else entry)
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    _adjust(table)
    _mark_worst(table)
    return table


@dataclass(frozen=True)
class _Wanted:
    """A figure of a group: whether it can be computed, alone or against the rest, and why not."""

    metric: str
    classes: list[str]
    empty: bool = False
    alone: bool = False
    note: str = ""


class _GroupFigures:
    """The figures of one group and of its rest."""

    def __init__(self, inputs: AssessmentInputs, rows: np.ndarray, calls: np.ndarray) -> None:
        self.inputs, self.rows, self.calls = inputs, rows, calls
        labels, lesion = inputs.labels, inputs.bootstrap.lesion
        kinds = {name: labels == place for place, name in enumerate(CLASSES)}
        kinds |= {"malignant": cases_of("malignant", labels), "benign": ~cases_of("malignant", labels)}
        least = inputs.assess.smallest_cases
        #: Which classes, and malignant and benign ones, the group (True) and its rest have enough lesions of.
        self.enough = {
            inside: {name for name, kind in kinds.items() if len(np.unique(lesion[(rows == inside) & kind])) >= least}
            for inside in (True, False)
        }

    def metrics(self) -> list[_Wanted]:
        """Return every figure, in the order of the table."""
        malignant = [CLASSES[place] for place in malignant_positions()]
        return [
            self._over_classes("balanced_accuracy"),
            self._over_classes("macro_f1"),
            _Wanted("accuracy", []),
            _Wanted("confidence_minus_accuracy", []),
            *(self._of_kinds(f"sensitivity_{name}", [name], [name]) for name in CLASSES),
            self._of_kinds("malignant_sensitivity", malignant, ["malignant"]),
            self._of_kinds("malignant_specificity", malignant, ["benign"]),
            self._of_kinds("malignant_auc", malignant, ["malignant", "benign"]),
            self._of_kinds("observed_to_expected_malignant", malignant, ["malignant"]),
        ]

    def _over_classes(self, metric: str) -> _Wanted:
        few = f"fewer than {self.inputs.assess.smallest_cases} lesions in all classes but one"
        group_classes = [name for name in CLASSES if name in self.enough[True]]
        shared = [name for name in group_classes if name in self.enough[False]]
        if len(shared) > 1:
            return _Wanted(metric, shared)
        if len(group_classes) > 1:
            return _Wanted(metric, group_classes, alone=True, note=f"no gap: the rest shares too few classes ({few})")
        return _Wanted(metric, group_classes, empty=True, note=few)

    def _of_kinds(self, metric: str, classes: list[str], kinds: list[str]) -> _Wanted:
        least = self.inputs.assess.smallest_cases
        for inside in (True, False):
            lacking = [name for name in kinds if name not in self.enough[inside]]
            if lacking and inside:
                return _Wanted(metric, classes, empty=True, note=f"fewer than {least} {lacking[0]} lesions")
            if lacking:
                return _Wanted(
                    metric, classes, alone=True, note=f"no gap: the rest has fewer than {least} {lacking[0]} lesions"
                )
        return _Wanted(metric, classes)

    def statistics(self, metric: str, classes: list[str], *, inside: bool) -> list[SumStatistic]:
        """Return one statistic per seed, of the group or of its rest; all metrics read the same columns."""
        places = [CLASSES.index(name) for name in classes]
        return [SumStatistic(columns, _function(metric, places)) for columns in self._columns[inside]]

    @cached_property
    def _columns(self) -> dict[bool, list[np.ndarray]]:
        """Return for the group (True) and its rest the columns (N, 3 · 7 + 6) of each seed."""
        by_seed = [self._of_seed(layer) for layer in range(len(self.inputs.calibrated))]
        return {inside: [(self.rows == inside)[:, None] * columns for columns in by_seed] for inside in (True, False)}

    def _of_seed(self, layer: int) -> np.ndarray:
        """Return hits, cases and answers per class, then the columns of _OTHERS."""
        labels, probabilities = self.inputs.labels, self.inputs.calibrated[layer]
        truth = np.eye(len(CLASSES))[labels]
        answers = np.eye(len(CLASSES))[probabilities.argmax(axis=1)]
        malignant, called = cases_of("malignant", labels), self.calls[layer]
        confidence = probabilities.max(axis=1)
        others = [
            confidence, malignant, malignant & called, ~malignant, ~malignant & ~called,
            risk_of("malignant", probabilities),
        ]  # fmt: skip
        return np.hstack([truth * answers, truth, answers, np.stack(others, axis=1)])


_OTHERS = ("confidence", "malignant", "true_positive", "benign", "true_negative", "risk")
_RATIOS = {
    "malignant_sensitivity": ("true_positive", "malignant"),
    "malignant_specificity": ("true_negative", "benign"),
    "observed_to_expected_malignant": ("malignant", "risk"),
}


def _function(metric: str, places: list[int]) -> Totals:
    """Return the function that computes a metric from totals (…, 3 · 7 + 6) of `_of_seed`, over some classes."""
    count = len(CLASSES)

    def function(totals: np.ndarray) -> np.ndarray:
        hits, cases, answers = (totals[..., start : start + count] for start in (0, count, 2 * count))
        others = {name: totals[..., 3 * count + place] for place, name in enumerate(_OTHERS)}
        if metric in _RATIOS:
            above, below = _RATIOS[metric]
            return divide(others[above], others[below])
        if metric == "confidence_minus_accuracy":
            return divide(others["confidence"] - hits.sum(axis=-1), cases.sum(axis=-1))
        # Over the classes that are compared, of which one that a resample lost leaves the mean as in the metric itself.
        chosen = places or list(range(count))
        counts = Counts(cases[..., chosen], hits[..., chosen], answers[..., chosen])
        return WHOLE[metric](counts) if metric in WHOLE else sensitivity(counts)[..., 0]

    return function


def _auc(inputs: AssessmentInputs, rows: np.ndarray) -> Estimate:
    """Return the AUC of malignancy among some images, mean over seeds."""
    cases = cases_of("malignant", inputs.labels[rows])
    unit, units = inputs.bootstrap.unit[rows], inputs.bootstrap.units
    estimates = []
    for layer in inputs.calibrated:
        plan = plan_auc(cases, risk_of("malignant", layer[rows]), unit, units)
        point = weighted_auc(plan, np.ones((units, 1), np.float32))[0]
        draws = inputs.bootstrap.over_units(partial(weighted_auc, plan))
        estimates.append(Estimate(float(point), draws))
    return mean_estimate(estimates)


def _compared(inputs: AssessmentInputs, inside: Estimate, rest: Estimate | None = None) -> dict[str, Any]:
    row = inputs.row(inside)
    if rest is None:
        return row
    gap = inside - rest
    between = inputs.row(gap)
    p = float("nan") if between["note"] else gap.pvalue()
    row |= {"rest": rest.value, "gap": gap.value, "gap_low": between["low"], "gap_high": between["high"], "p": p}
    if between["note"] and between["note"] != row["note"]:
        row = with_note(row, {"note": f"gap: {between['note']}"})
    return row | {"undefined": max(row["undefined"], between["undefined"])}


def _adjust(table: pd.DataFrame) -> None:
    """Fill in p-values adjusted over all groups of all columns, metric by metric (Holm)."""
    table["p_adjusted"] = table.groupby("metric")["p"].transform(lambda p: holm_of_defined(p.to_numpy(dtype=float)))


def _mark_worst(table: pd.DataFrame) -> None:
    """Mark the worst group of each column and metric, where there are at least two."""
    table["worst"] = ""
    for (_, metric), rows in table[table["value"].notna()].groupby(["column", "metric"]):
        if len(rows) > 1:
            best = _BEST.get(str(metric))
            worst = rows["value"].idxmin() if best is None else (rows["value"] - best).abs().idxmax()
            table.loc[worst, "worst"] = "worst"
