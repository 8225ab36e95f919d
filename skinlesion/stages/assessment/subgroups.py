"""Every figure within groups of patients and pictures, against the rest of the images, and the worst group."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.evaluation.decisions import cases_of, risk_of
from skinlesion.evaluation.metrics import malignant_positions
from skinlesion.evaluation.subgroups import Group
from skinlesion.evaluation.sums import SumStatistic, Totals, divide
from skinlesion.stages.assessment.decisions import thresholds
from skinlesion.stages.assessment.material import Material
from skinlesion.stats.lesion_bootstrap import Estimate, mean_estimate
from skinlesion.stats.multiplicity import holm
from skinlesion.stats.weighted_auc import plan_auc, weighted_auc
from skinlesion.vocabulary import CLASSES

COLUMNS = (
    "column", "group", "images", "lesions", "metric", "value", "low", "high", "rest", "gap", "gap_low", "gap_high",
    "p", "p_adjusted", "worst", "classes", "note",
)  # fmt: skip

#: Metrics of which 0, or 1, is best: the worst group is the farthest from it. Of the others more is better.
_BEST = {"confidence_minus_accuracy": 0.0, "observed_to_expected_malignant": 1.0}


def subgroup_table(material: Material, groups: list[Group]) -> pd.DataFrame:
    """Return one row a group and metric (COLUMNS): value, that of the rest, the gap, its Holm-adjusted p-value.

    Balanced accuracy and macro F1 of a group and of its rest are over the same classes (`classes`), those of which
    both have `assess.smallest_cases` lesions; where the rest has too few, the group's figure stands without a gap. A
    group of fewer lesions than `assess.smallest_group` keeps its row and says so; a figure that rests on too few cases
    is left empty and says so.
    """
    calls = risk_of("malignant", material.calibrated) >= thresholds(
        material, "malignant", "specificity", material.assess.operating_points[0]
    )
    rows: list[dict[str, Any]] = []
    figures: dict[str, list[SumStatistic]] = {}
    pending: list[dict[str, Any]] = []
    for group in groups:
        lesions = len(np.unique(material.bootstrap.lesion[group.rows]))
        about = {"column": group.column, "group": group.name, "images": int(group.rows.sum()), "lesions": lesions}
        if lesions < material.assess.smallest_group:
            rows.append(about | {"note": f"too small: fewer than {material.assess.smallest_group} lesions"})
            continue
        made = _GroupFigures(material, group.rows, calls)
        for wanted in made.metrics():
            entry: dict[str, Any] = about | {
                "metric": wanted.metric, "classes": " ".join(wanted.classes), "note": wanted.note,
            }  # fmt: skip
            sides = {"": True} if wanted.alone else {"": True, "rest": False}
            if not wanted.empty and wanted.metric == "malignant_auc":
                entry["pair"] = [_auc(material, group.rows if inside else ~group.rows) for inside in sides.values()]
            elif not wanted.empty:
                entry["keys"] = [f"{group.column}\n{group.name}\n{wanted.metric}\n{side}" for side in sides]
                for key, inside in zip(entry["keys"], sides.values(), strict=True):
                    figures[key] = made.statistics(wanted.metric, wanted.classes, inside=inside)
            pending.append(entry)
    found = material.estimates(figures)
    for entry in pending:
        pair: list[Estimate] = entry.pop("pair", []) + [found[key] for key in entry.pop("keys", [])]
        rows.append(entry | (_compared(material, *pair) if pair else {}))
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    _adjust(table)
    _mark_worst(table)
    return table


@dataclass(frozen=True)
class _Wanted:
    """A figure of a group: whether it can be had, alone or against the rest, and why not."""

    metric: str
    classes: list[str]
    empty: bool = False
    alone: bool = False
    note: str = ""


class _GroupFigures:
    """The figures of one group and of its rest."""

    def __init__(self, material: Material, rows: np.ndarray, calls: np.ndarray) -> None:
        self.material, self.rows, self.calls = material, rows, calls
        labels, lesion = material.labels, material.bootstrap.lesion
        kinds = {name: labels == place for place, name in enumerate(CLASSES)}
        kinds |= {"malignant": cases_of("malignant", labels), "benign": ~cases_of("malignant", labels)}
        least = material.assess.smallest_cases
        #: Which classes, and malignant and benign ones, the group (True) and its rest have enough lesions of.
        self.enough = {
            inside: {name for name, one in kinds.items() if len(np.unique(lesion[(rows == inside) & one])) >= least}
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
        few = f"fewer than {self.material.assess.smallest_cases} lesions in all classes but one"
        mine = [name for name in CLASSES if name in self.enough[True]]
        shared = [name for name in mine if name in self.enough[False]]
        if len(shared) > 1:
            return _Wanted(metric, shared)
        if len(mine) > 1:
            return _Wanted(metric, mine, alone=True, note=f"no gap: the rest shares too few classes ({few})")
        return _Wanted(metric, mine, empty=True, note=few)

    def _of_kinds(self, metric: str, classes: list[str], kinds: list[str]) -> _Wanted:
        least = self.material.assess.smallest_cases
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
        """Return one statistic a seed, of the group or of its rest; all metrics read the same columns."""
        places = [CLASSES.index(name) for name in classes]
        return [SumStatistic(columns, _function(metric, places)) for columns in self._columns[inside]]

    @cached_property
    def _columns(self) -> dict[bool, list[np.ndarray]]:
        """Return for the group (True) and its rest the columns (N, 3 · 7 + 6) of each seed."""
        made = [self._of_seed(layer) for layer in range(len(self.material.calibrated))]
        return {inside: [(self.rows == inside)[:, None] * columns for columns in made] for inside in (True, False)}

    def _of_seed(self, layer: int) -> np.ndarray:
        """Return hits, images and answers of each class, then the columns of _OTHERS."""
        labels, probabilities = self.material.labels, self.material.calibrated[layer]
        truth = np.eye(len(CLASSES))[labels]
        answers = np.eye(len(CLASSES))[probabilities.argmax(axis=1)]
        malignant, called = cases_of("malignant", labels), self.calls[layer]
        confidence = probabilities.max(axis=1)
        others = [
            confidence, malignant, malignant & called, ~malignant, ~malignant & ~called,
            risk_of("malignant", probabilities),
        ]  # fmt: skip
        return np.hstack([truth * answers, truth, answers, np.stack(others, axis=1)])


_OTHERS = ("confidence", "malignant", "found", "benign", "spared", "risk")
_RATIOS = {
    "malignant_sensitivity": ("found", "malignant"),
    "malignant_specificity": ("spared", "benign"),
    "observed_to_expected_malignant": ("malignant", "risk"),
}


def _function(metric: str, places: list[int]) -> Totals:
    """Return what makes a metric of the totals (…, 3 · 7 + 6) of `_of_seed`, for some classes."""
    count = len(CLASSES)

    def function(totals: np.ndarray) -> np.ndarray:
        hits, cases, answers = (totals[..., start : start + count] for start in (0, count, 2 * count))
        others = {name: totals[..., 3 * count + place] for place, name in enumerate(_OTHERS)}
        if metric in _RATIOS:
            above, below = _RATIOS[metric]
            return divide(others[above], others[below])
        images = cases.sum(axis=-1)
        if metric == "accuracy":
            return divide(hits.sum(axis=-1), images)
        if metric == "confidence_minus_accuracy":
            return divide(others["confidence"] - hits.sum(axis=-1), images)
        hits, cases, answers = hits[..., places], cases[..., places], answers[..., places]
        values = divide(2 * hits, cases + answers) if metric == "macro_f1" else divide(hits, cases)
        # A class that a resample lost leaves the mean, as it does in the metric itself.
        return divide(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))

    return function


def _auc(material: Material, rows: np.ndarray) -> Estimate:
    """Return the AUC of malignancy among some images, mean over seeds."""
    cases = cases_of("malignant", material.labels[rows])
    lesion, lesions = material.bootstrap.lesion[rows], material.bootstrap.lesions
    found = []
    for layer in material.calibrated:
        plan = plan_auc(cases, risk_of("malignant", layer[rows]), lesion, lesions)
        point = weighted_auc(plan, np.ones((lesions, 1), np.float32))[0]
        draws = material.bootstrap.over_lesions(partial(weighted_auc, plan))
        found.append(Estimate(float(point), draws))
    return mean_estimate(found)


def _compared(material: Material, inside: Estimate, rest: Estimate | None = None) -> dict[str, float]:
    found = material.row(inside)
    if rest is None:
        return found
    gap = inside - rest
    low, high = gap.interval(material.evaluate.confidence)
    return found | {"rest": rest.value, "gap": gap.value, "gap_low": low, "gap_high": high, "p": gap.pvalue()}


def _adjust(table: pd.DataFrame) -> None:
    """Fill in p-values adjusted over all groups of all columns, metric by metric (Holm)."""
    for _, rows in table[table["p"].notna()].groupby("metric"):
        table.loc[rows.index, "p_adjusted"] = holm(rows["p"].to_numpy())


def _mark_worst(table: pd.DataFrame) -> None:
    """Mark the worst group of each column and metric, where there are two to choose from."""
    table["worst"] = ""
    for (_, metric), rows in table[table["value"].notna()].groupby(["column", "metric"]):
        if len(rows) > 1:
            best = _BEST.get(str(metric))
            worst = rows["value"].idxmin() if best is None else (rows["value"] - best).abs().idxmax()
            table.loc[worst, "worst"] = "worst"
