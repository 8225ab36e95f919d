"""The few figures of an assessment that stand in assessment.json, under names that explain themselves."""

from typing import Any

import pandas as pd

from skinlesion.evaluation.decisions import TARGETS
from skinlesion.params import AssessParams


def headline(tables: dict[str, pd.DataFrame], settings: AssessParams) -> dict[str, float]:
    """Return flat figures with `_low` and `_high`; what has no value is left out."""
    found: dict[str, float] = {}
    _calibration(tables["calibration"], settings.calibration, found)
    _conformal(tables["conformal"], found)
    for row in _records(tables["selective"], certainty="probability"):
        _add(found, row["metric"], row)
    _decisions(tables, settings, found)
    for row in _records(tables["lesions"], unit="lesion"):
        if not row["metric"].startswith("sensitivity_") or row["metric"] == "sensitivity_mel":
            _add(found, f"by_lesion_{row['metric']}", row)
    _worst_groups(tables["subgroups"], found)
    return found


def _records(table: pd.DataFrame, **wanted: str) -> list[dict[str, Any]]:
    for column, value in wanted.items():
        table = table[table[column] == value]
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _add(found: dict[str, float], name: str, row: dict[str, Any]) -> None:
    for ending, column in (("", "value"), ("_low", "low"), ("_high", "high")):
        value = float(row[column])
        if value == value:
            found[f"{name}{ending}"] = value


def _calibration(table: pd.DataFrame, method: str, found: dict[str, float]) -> None:
    for state, name in (("uncalibrated", "uncalibrated"), (method, "calibrated")):
        for metric in ("ece", "ece_debiased", "ece_classwise", "brier", "nll"):
            for row in _records(table, probabilities=state, metric=metric):
                _add(found, f"{metric}_{name}", row)
    for metric in ("observed_to_expected", "calibration_intercept", "calibration_slope"):
        for row in _records(table, probabilities=method, metric=f"{metric}_malignant"):
            _add(found, f"malignant_{metric}", row)


def _conformal(table: pd.DataFrame, found: dict[str, float]) -> None:
    for row in _records(table, column="all"):
        ending = "" if row["promise"] == "marginal" else "_by_class"
        names = {"coverage_by_lesion": "conformal_coverage", "size": "conformal_set_size"}
        if row["metric"] in names:
            _add(found, f"{names[row['metric']]}_{row['method']}{ending}", row)
    classes = table[(table["column"] == "dx") & (table["metric"] == "coverage")]
    for (method, promise), rows in classes.groupby(["method", "promise"]):
        ending = "" if promise == "marginal" else "_by_class"
        found[f"conformal_lowest_class_coverage_{method}{ending}"] = float(rows["value"].min())


def _decisions(tables: dict[str, pd.DataFrame], settings: AssessParams, found: dict[str, float]) -> None:
    table = tables["decisions"]
    opposite = {"specificity": "sensitivity", "sensitivity": "specificity"}
    for target in TARGETS:
        for level in settings.operating_points:
            for side, asked in opposite.items():
                for row in _records(table, target=target, rule=f"at {level:.0%} {side}", metric=asked):
                    _add(found, f"{target}_{asked}_at_{level * 100:g}_percent_{side}", row)
        for row in _records(table, target=target, rule="ranking"):
            _add(found, f"{target}_{row['metric']}", row)
    curve = tables["decision_curve"]
    near = curve.iloc[int((curve["threshold"] - settings.decision_threshold).abs().to_numpy().argmin())]
    for target in TARGETS:
        row = {"value": near[target], "low": near[f"{target}_low"], "high": near[f"{target}_high"]}
        _add(found, f"{target}_net_benefit_at_{near['threshold'] * 100:g}_percent_risk", row)
    names = {"likeliest": "expected_cost", "least expected cost": "expected_cost_of_least_cost_answer"}
    for row in _records(tables["costs"]):
        if row["answer"] in names:
            _add(found, names[row["answer"]], row)
    for rule, name in (("not called melanoma", "missed"), ("called benign", "called_benign")):
        for row in _records(tables["missed"], rule=rule, metric="missed_per_1000_lesions"):
            _add(found, f"melanomas_{name}_per_1000_lesions", row)


def _worst_groups(table: pd.DataFrame, found: dict[str, float]) -> None:
    """Add the worst group of each column; which one it is stands in subgroups.csv."""
    for metric in ("balanced_accuracy", "malignant_sensitivity", "malignant_auc"):
        for row in _records(table, worst="worst", metric=metric):
            _add(found, f"worst_{row['column']}_{metric}", row)
