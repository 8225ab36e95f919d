"""What the report says of assessments: tables of every system, figures of the best of each kind, the subgroup page."""

from typing import Any

import pandas as pd

from skinlesion.files import read_csv, read_json
from skinlesion.params import Params
from skinlesion.report import curves
from skinlesion.report.html import render
from skinlesion.stages.best import best_by_validation
from skinlesion.stages.contracts import ASSESSMENT_NAME, METADATA_VALUE_NAME, METRICS_NAME, NOTES_NAME, ROC_NAME
from skinlesion.stages.twins import twin_of
from skinlesion.stages.workspace import Workspace
from skinlesion.vocabulary import CLASSES

#: Columns of the table of all systems: title and name in assessment.json.
_HEADLINES = {
    "ECE": "ece_uncalibrated",
    "ECE, calibrated": "ece_calibrated",
    "coverage of sets (LAC)": "conformal_coverage_lac_by_class",
    "answers in a set": "conformal_set_size_lac_by_class",
    "accuracy on the surest 80 %": "accuracy_at_80_percent_coverage",
    "malignant, average precision": "malignant_average_precision",
    "malignant, net benefit": "malignant_net_benefit_at_{risk:g}_percent_risk",
    "expected cost": "expected_cost",
    "melanomas called benign in 1,000 lesions": "melanomas_called_benign_per_1000_lesions",
    "balanced accuracy by lesion": "by_lesion_balanced_accuracy",
}
_CALIBRATION = (
    "ece", "ece_debiased", "ece_classwise", "brier", "brier_reliability", "brier_resolution", "nll",
    "observed_to_expected_malignant", "calibration_intercept_malignant", "calibration_slope_malignant",
)  # fmt: skip
_METADATA = (
    "balanced_accuracy", "gain_over_image_only", "balanced_accuracy_records_exchanged", "balanced_accuracy_all_missing",
    "gain_over_image_only_all_missing", "break_even_share_missing",
)  # fmt: skip
#: Metrics of the subgroup page's figures.
_GROUP_FIGURES = {
    "balanced_accuracy": "balanced accuracy",
    "malignant_sensitivity": "sensitivity to malignancy at the operating point",
    "malignant_auc": "AUC of malignancy",
    "confidence_minus_accuracy": "confidence minus accuracy, calibrated",
}
_SHAPLEY = {"balanced_accuracy": "balanced accuracy", "macro_auc": "macro AUC", "sensitivity_mel": "sensitivity mel"}


def assessed(params: Params, workspace: Workspace) -> dict[str, Any]:
    """Return what the report's sections on calibration, decisions and metadata show.

    Raises:
        UserError: a system was not assessed.
    """
    best = best_by_validation(params, workspace)
    headlines = {name: _headline(params, workspace, name) for name in params.systems}
    risk = params.assess.decision_threshold * 100
    tables = {name: _tables(workspace, name) for name in best.values()}
    shown = {f"{kind}: {name}": tables[name] for kind, name in best.items()}
    return {
        "intro": f"Calibration: {params.assess.calibration}. Net benefit at a risk of {risk:g} %.",
        "coverage": f"{params.assess.coverage:.0%}",
        "header": list(_HEADLINES),
        "rows": [
            {"name": name, "cells": [_cell(figures, key.format(risk=risk)) for key in _HEADLINES.values()]}
            for name, figures in headlines.items()
        ],
        "shown": best,
        "figures": _figures(shown, {f"{kind}: {name}": _roc(workspace, name) for kind, name in best.items()}),
        "calibration": [
            {"name": name, "probabilities": state, "cells": [_value(rows, metric) for metric in _CALIBRATION]}
            for name in best.values()
            for state, rows in tables[name]["calibration"].groupby("probabilities", sort=False)
        ],
        "conformal": [row for name in best.values() for row in _conformal(name, tables[name]["conformal"])],
        "pooled": sorted({dx for name in best.values() for dx in _pooled(workspace, name)}),
        "metadata": _metadata(params, workspace),
    }


def subgroup_page(params: Params, workspace: Workspace, synthetic: bool) -> str:
    """Return the page of subgroups and metadata curves.

    Raises:
        UserError: a system was not assessed.
    """
    best = best_by_validation(params, workspace)
    systems = [_subgroups(params, workspace, kind, name) for kind, name in best.items()]
    folder = workspace.metadata_value
    remedy = "run `skinlesion metadata` first"
    missing = read_csv(folder / "missing.csv", ("experiment",), remedy, keep_default_na=True)
    shapley = read_csv(folder / "shapley.csv", ("experiment",), remedy)
    classes = read_csv(folder / "shapley_classes.csv", ("experiment",), remedy)
    names = list(dict.fromkeys(missing["experiment"]))
    about = best.get("multimodal", names[0] if names else "")
    return render(
        "subgroups.html.j2",
        title=params.report.title,
        synthetic=synthetic,
        systems=systems,
        metadata=[_missing(missing[missing["experiment"] == name]) for name in names],
        shapley=[
            (curves.shares(rows.to_dict("records"), _SHAPLEY), name)
            for name, rows in shapley.groupby("experiment", sort=False)
            if name == about
        ],
        classes=CLASSES,
        classes_of=about,
        by_class=_by_class(classes[(classes["experiment"] == about) & (classes["figure"] == "own")])
        if len(classes)
        else [],
    )


def _headline(params: Params, workspace: Workspace, name: str) -> dict[str, float]:
    found: dict[str, float] = read_json(workspace.assessment(name) / ASSESSMENT_NAME, f"run `skinlesion assess {name}`")
    return found


def _tables(workspace: Workspace, name: str) -> dict[str, pd.DataFrame]:
    wanted = ("calibration", "reliability", "conformal", "decision_curve", "precision_recall", "risk_coverage")
    folder, remedy = workspace.assessment(name), f"run `skinlesion assess {name}`"
    return {table: read_csv(folder / f"{table}.csv", (), remedy, keep_default_na=True) for table in wanted}


def _cell(figures: dict[str, float], name: str) -> str:
    """Return a figure with its interval, empty where there is none."""
    if name not in figures:
        return ""
    limits = figures.get(f"{name}_low"), figures.get(f"{name}_high")
    interval = "" if limits[0] is None or limits[1] is None else f" ({_short(limits[0])} to {_short(limits[1])})"
    return f"{_short(figures[name])}{interval}"


def _short(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _value(rows: pd.DataFrame, metric: str) -> str:
    found = rows[rows["metric"] == metric].iloc[0]
    if pd.isna(found["value"]):
        return "no value"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _roc(workspace: Workspace, name: str) -> pd.DataFrame:
    remedy = f"run `skinlesion evaluate --experiment {name}`"
    return read_csv(workspace.results(name) / ROC_NAME, ("false_positive_rate",), remedy)


def _figures(shown: dict[str, dict[str, pd.DataFrame]], roc: dict[str, pd.DataFrame]) -> list[tuple[str, str]]:
    def of(table: str) -> dict[str, pd.DataFrame]:
        return {name: tables[table] for name, tables in shown.items()}

    made = []
    for name, tables in shown.items():
        for series, title in (("top", "likeliest answer"), ("malignant", "malignancy")):
            svg = curves.reliability(tables["reliability"], series, title)
            made.append(
                (svg, f"{name}. Reliability of the {title}; bins of equal numbers of images, bars are intervals.")
            )
    made += [
        (curves.decision(of("decision_curve"), "malignant"), "Malignant against benign; bands are intervals."),
        (curves.decision(of("decision_curve"), "melanoma"), "Melanoma against the rest."),
        (
            curves.lines(roc, "false_positive_rate", "malignant", "false-positive rate", "sensitivity"),
            "ROC, malignant against benign.",
        ),
        (
            curves.lines(roc, "false_positive_rate", "macro", "false-positive rate", "sensitivity"),
            "ROC, mean over the seven classes.",
        ),
        (
            curves.lines(of("precision_recall"), "recall", "malignant", "recall", "precision"),
            "Precision and recall, malignant against benign.",
        ),
        (
            curves.lines(of("risk_coverage"), "coverage", "probability", "share of images answered", "answered wrong"),
            "Risk and coverage: errors when the least sure images are left to somebody else.",
        ),
    ]  # fmt: skip
    return made if shown else []


def _conformal(name: str, table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for promise, words in (("marginal", "one threshold"), ("by_class", "thresholds by class")):
        for metric in ("coverage", "size"):
            mine = table[
                (table["method"] == "lac")
                & (table["promise"] == promise)
                & (table["column"] == "dx")
                & (table["metric"] == metric)
            ].set_index("group")
            cells = [_interval_of(mine.loc[dx]) if dx in mine.index else "" for dx in CLASSES]
            rows.append({"name": name, "method": "LAC", "promise": words, "metric": metric, "cells": cells})
    return rows


def _interval_of(row: Any) -> str:
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _pooled(workspace: Workspace, name: str) -> list[str]:
    notes = read_json(workspace.assessment(name) / NOTES_NAME, f"run `skinlesion assess {name}`")
    return [dx for classes in notes["classes_with_pooled_conformal_threshold"].values() for dx in classes]


def _metadata(params: Params, workspace: Workspace) -> list[dict[str, Any]]:
    found = read_json(workspace.metadata_value / METADATA_VALUE_NAME, "run `skinlesion metadata` first")
    return [
        {"name": name, "twin": twin_of(params, name) or "none", "cells": [_cell(figures, key) for key in _METADATA]}
        for name, figures in found.items()
    ]


def _subgroups(params: Params, workspace: Workspace, kind: str, name: str) -> dict[str, Any]:
    folder, remedy = workspace.assessment(name), f"run `skinlesion assess {name}`"
    table = read_csv(
        folder / "subgroups.csv", ("column", "group"), remedy, dtype={"group": str, "note": str, "worst": str}
    )
    table[["worst", "note"]] = table[["worst", "note"]].fillna("")
    notes = read_json(folder / NOTES_NAME, remedy)
    metrics = read_json(workspace.results(name) / METRICS_NAME, f"run `skinlesion evaluate --experiment {name}`")
    whole = metrics | _headline(params, workspace, name)
    level = params.assess.operating_points[0]
    whole["malignant_sensitivity"] = whole.get(f"malignant_sensitivity_at_{level * 100:g}_percent_specificity", 0.0)
    figures = []
    for metric, title in _GROUP_FIGURES.items():
        rows = table[(table["metric"] == metric) | table["metric"].isna()].to_dict("records")
        if rows:
            svg = curves.groups(rows, whole.get(metric, 0.0), title)
            caption = f"{title[0].upper()}{title[1:]}, by group. Line: all images; diamond: worst of its column."
            figures.append((svg, caption))
    certain = table[table["p_adjusted"] < 1 - params.evaluate.confidence]
    return {
        "kind": kind,
        "name": name,
        "figures": figures,
        "gaps": certain[certain["metric"].isin(_GROUP_FIGURES)].to_dict("records"),
        "small": table[table["note"].str.startswith("too small")].to_dict("records"),
        "absent": notes["subgroup_columns_not_in_the_data"],
    }


def _missing(rows: pd.DataFrame) -> dict[str, Any]:
    twin = rows["twin"].iloc[0]
    return {
        "name": rows["experiment"].iloc[0],
        "twin": "" if pd.isna(twin) else twin,
        "svg": curves.missing(rows, "balanced_accuracy", "balanced accuracy"),
    }


def _by_class(rows: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return a line a field: what it adds to the probability of the truth, by class."""
    lines = []
    for field in dict.fromkeys(rows["field"]):
        mine = {row["dx"]: row for row in rows[rows["field"] == field].to_dict("records")}
        cells = [
            f"{mine[dx]['value']:+.3f} ({mine[dx]['low']:+.3f} to {mine[dx]['high']:+.3f})" if dx in mine else ""
            for dx in CLASSES
        ]
        lines.append((str(field), cells))
    return lines
