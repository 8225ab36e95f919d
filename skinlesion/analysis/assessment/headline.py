"""The headline figures of an assessment, those in assessment.json; their names are built by `figure_names`."""

from typing import Any

import pandas as pd

from skinlesion.evaluation.decisions import TARGETS
from skinlesion.evaluation.figure_names import at_operating_point, net_benefit_at, rule_name
from skinlesion.params import AssessParams


def headline(tables: dict[str, pd.DataFrame], settings: AssessParams) -> dict[str, float]:
    """Return flat figures with `_low` and `_high`; undefined values are left out.

    Args:
        tables: the tables of an assessment by name.
    """
    figures: dict[str, float] = {}
    _calibration(tables["calibration"], settings.calibration, figures)
    _conformal(tables["conformal"], figures)
    for row in _records(tables["selective"], certainty="probability"):
        _add(figures, row["metric"], row)
    _decisions(tables, settings, figures)
    for row in _records(tables["lesions"], unit="lesion"):
        if not row["metric"].startswith("sensitivity_") or row["metric"] == "sensitivity_mel":
            _add(figures, f"by_lesion_{row['metric']}", row)
    _worst_groups(tables["subgroups"], figures)
    return figures


def _records(table: pd.DataFrame, **wanted: str) -> list[dict[str, Any]]:
    for column, value in wanted.items():
        table = table[table[column] == value]
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _add(figures: dict[str, float], name: str, row: dict[str, Any]) -> None:
    for ending, column in (("", "value"), ("_low", "low"), ("_high", "high")):
        value = float(row[column])
        if value == value:
            figures[f"{name}{ending}"] = value


def _calibration(table: pd.DataFrame, method: str, figures: dict[str, float]) -> None:
    for state, name in (("uncalibrated", "uncalibrated"), (method, "calibrated")):
        for metric in ("ece", "ece_debiased", "ece_classwise", "brier", "nll"):
            for row in _records(table, probabilities=state, metric=metric):
                _add(figures, f"{metric}_{name}", row)
    for metric in ("observed_to_expected", "calibration_intercept", "calibration_slope"):
        for row in _records(table, probabilities=method, metric=f"{metric}_malignant"):
            _add(figures, f"malignant_{metric}", row)


def _conformal(table: pd.DataFrame, figures: dict[str, float]) -> None:
    for row in _records(table, column="all"):
        ending = "" if row["promise"] == "marginal" else "_by_class"
        names = {"coverage_by_lesion": "conformal_coverage", "size": "conformal_set_size"}
        if row["metric"] in names:
            _add(figures, f"{names[row['metric']]}_{row['method']}{ending}", row)
    classes = table[(table["column"] == "dx") & (table["metric"] == "coverage")]
    for (method, promise), rows in classes.groupby(["method", "promise"]):
        ending = "" if promise == "marginal" else "_by_class"
        figures[f"conformal_lowest_class_coverage_{method}{ending}"] = float(rows["value"].min())


def _decisions(tables: dict[str, pd.DataFrame], settings: AssessParams, figures: dict[str, float]) -> None:
    table = tables["decisions"]
    opposite = {"specificity": "sensitivity", "sensitivity": "specificity"}
    for target in TARGETS:
        for level in settings.operating_points:
            for side, metric in opposite.items():
                for row in _records(table, target=target, rule=f"at {rule_name(level, side)}", metric=metric):
                    _add(figures, at_operating_point(target, metric, level, side), row)
        for row in _records(table, target=target, rule="ranking"):
            _add(figures, f"{target}_{row['metric']}", row)
    curve = tables["decision_curve"]
    at = curve[curve["threshold"] == settings.decision_threshold].iloc[0]
    for target in TARGETS:
        row = {"value": at[target], "low": at[f"{target}_low"], "high": at[f"{target}_high"]}
        _add(figures, net_benefit_at(target, settings.decision_threshold), row)
    names = {"likeliest": "expected_cost", "least expected cost": "expected_cost_of_least_cost_answer"}
    for row in _records(tables["costs"]):
        if row["answer"] in names:
            _add(figures, names[row["answer"]], row)
    for rule, name in (("not called melanoma", "missed"), ("called benign", "called_benign")):
        for row in _records(tables["missed"], rule=rule, metric="missed_per_1000_lesions"):
            _add(figures, f"melanomas_{name}_per_1000_lesions", row)


def _worst_groups(table: pd.DataFrame, figures: dict[str, float]) -> None:
    """Add the worst group of each column; which one it is stands in subgroups.csv."""
    for metric in ("balanced_accuracy", "malignant_sensitivity", "malignant_auc"):
        for row in _records(table, worst="worst", metric=metric):
            _add(figures, f"worst_{row['column']}_{metric}", row)
