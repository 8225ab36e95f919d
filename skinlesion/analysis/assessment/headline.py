"""The headline figures of an assessment, those in assessment.json; their names are built by `figure_names`."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from skinlesion.analysis.own_rules import best_for
from skinlesion.evaluation.decision_rules import OBJECTIVES
from skinlesion.evaluation.decisions import TARGETS
from skinlesion.evaluation.figure_names import at_operating_point, at_own_rule_name, net_benefit_at, rule_name
from skinlesion.params import AssessParams


@dataclass(frozen=True)
class Headline:
    """Flat figures with `_low` and `_high` (those of tests with `_p`), without what is undefined, and notes on them."""

    figures: dict[str, float]
    without_interval: dict[str, str]  # name → reason
    undefined_replicates: dict[str, int]  # name → number of bootstrap replicates without a value, where there are some


def headline(tables: dict[str, pd.DataFrame], settings: AssessParams) -> Headline:
    """Return the headline figures.

    Args:
        tables: the tables of an assessment by name.
    """
    figures = Headline({}, {}, {})
    _calibration(tables["calibration"], settings.calibration, figures)
    _conformal(tables["conformal"], figures)
    for row in _records(tables["selective"], certainty="probability"):
        _add(figures, row["metric"], row)
    _decisions(tables, settings, figures)
    for row in _records(tables["lesions"], unit="lesion"):
        if not row["metric"].startswith("sensitivity_") or row["metric"] == "sensitivity_mel":
            _add(figures, f"by_lesion_{row['metric']}", row)
    for objective in OBJECTIVES:
        for row in _records(tables["decision_rules"], rule=best_for(objective), metric=objective):
            _add(figures, at_own_rule_name(objective), row)
    _worst_groups(tables["subgroups"], figures)
    return figures


def _records(table: pd.DataFrame, **wanted: str) -> list[dict[str, Any]]:
    for column, value in wanted.items():
        table = table[table[column] == value]
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _add(headlines: Headline, name: str, row: dict[str, Any]) -> None:
    for ending, column in (("", "value"), ("_low", "low"), ("_high", "high"), ("_p", "p")):
        value = float(row.get(column, "nan"))
        if value == value:
            headlines.figures[f"{name}{ending}"] = value
    if name not in headlines.figures:
        return
    if f"{name}_low" not in headlines.figures and row.get("note"):
        headlines.without_interval[name] = row["note"]
    if row.get("undefined", 0) > 0:
        headlines.undefined_replicates[name] = int(row["undefined"])


def _calibration(table: pd.DataFrame, method: str, figures: Headline) -> None:
    for state, name in (("uncalibrated", "uncalibrated"), (method, "calibrated")):
        for metric in ("rms_calibration_error", "ece", "ece_classwise", "brier", "nll"):
            for row in _records(table, probabilities=state, metric=metric):
                _add(figures, f"{metric}_{name}", row)
    for metric in ("rms_calibration_error", "observed_to_expected", "calibration_intercept", "calibration_slope"):
        for row in _records(table, probabilities=method, metric=f"{metric}_malignant"):
            _add(figures, f"malignant_{metric}", row)


def _conformal(table: pd.DataFrame, figures: Headline) -> None:
    for row in _records(table, column="all"):
        ending = "" if row["promise"] == "marginal" else "_by_class"
        names = {"coverage_by_lesion": "conformal_coverage", "size": "conformal_set_size"}
        if row["metric"] in names:
            _add(figures, f"{names[row['metric']]}_{row['method']}{ending}", row)
    classes = table[(table["column"] == "dx") & (table["metric"] == "coverage")]
    for (method, promise), rows in classes.groupby(["method", "promise"]):
        ending = "" if promise == "marginal" else "_by_class"
        figures.figures[f"conformal_lowest_class_coverage_{method}{ending}"] = float(rows["value"].min())


def _decisions(tables: dict[str, pd.DataFrame], settings: AssessParams, figures: Headline) -> None:
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


def _worst_groups(table: pd.DataFrame, figures: Headline) -> None:
    """Add the worst group of each column; which one it is stands in subgroups.csv."""
    for metric in ("balanced_accuracy", "malignant_sensitivity", "malignant_auc"):
        for row in _records(table, worst="worst", metric=metric):
            _add(figures, f"worst_{row['column']}_{metric}", row)
