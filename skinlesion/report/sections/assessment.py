"""Calibration, conformal sets and decisions: headline figures of all systems, details of the best of each kind."""

from collections.abc import Mapping

import pandas as pd

from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import MISSING, figure, p_value, row_interval
from skinlesion.report import curves
from skinlesion.report.headlines import report_assessment
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES

#: Columns of the table of calibration: name in calibration.csv → title.
_CALIBRATION = {
    "rms_calibration_error": "RMS calibration error",
    "ece": "plug-in ECE",
    "ece_classwise": "plug-in classwise ECE",
    "brier": "Brier",
    "brier_reliability": "reliability",
    "brier_resolution": "resolution",
    "nll": "NLL",
    "rms_calibration_error_malignant": "malignant, RMS calibration error",
    "observed_to_expected_malignant": "malignant, observed / expected",
    "calibration_intercept_malignant": "intercept",
    "calibration_slope_malignant": "slope",
}
#: Metrics whose test of calibration the table ends with → title.
_TESTED = {
    "rms_calibration_error": "p, calibrated",
    "rms_calibration_error_malignant": "malignant, p, calibrated",
}
#: Beside a coverage whose interval lies below the level of the sets.
_BELOW = "▼"
_PROMISES = {"marginal": "one threshold", "by_class": "thresholds by class"}


def assessment(results: Results) -> Section:
    """Return tables of every system, and tables and figures of the best experiment of each kind."""
    settings, best = results.params.assess, results.best
    listed = report_assessment(settings)
    drawn = _figures(results) if best else []
    html = render(
        "assessment.html.j2",
        settings=settings,
        confidence=results.params.evaluate.confidence,
        header=[title_of(figure_name) for figure_name in listed],
        rows=[
            (name, [_headline(results.assessment(name), figure_name, settings.coverage) for figure_name in listed])
            for name in results.shown
        ],
        best=best,
        figures=drawn,
        calibration_header=[*_CALIBRATION.values(), *_TESTED.values()],
        calibration=[row for name in best.values() for row in _calibration(results, name)],
        classes=CLASSES,
        conformal=[row for name in best.values() for row in _conformal(results, name)],
        misses=[row for name in results.shown for row in _misses(results, name)],
        below=_BELOW,
        pooled=sorted({dx for name in best.values() for dx in _pooled(results, name)}),
    )
    svgs = {f"assessment_{place}": svg for place, (svg, _) in enumerate(drawn, start=1)}
    return Section("Calibration, uncertainty, decisions", html, svgs)


def _calibration(results: Results, name: str) -> list[tuple[str, list[str]]]:
    """Return a row per kind of probabilities: uncalibrated, calibrated."""
    table = results.assessment_table(name, "calibration")
    rows = []
    for state, figures in table.groupby("probabilities", sort=False):
        by_metric = figures.set_index("metric").to_dict("index")
        cells = [row_interval(by_metric[metric]) for metric in _CALIBRATION]
        rows.append((f"{name}, {state}", [*cells, *(p_value(by_metric[metric]["p"]) for metric in _TESTED)]))
    return rows


def _conformal(results: Results, name: str) -> list[tuple[str, str, list[str]]]:
    """Return rows of coverage and size of the LAC sets by true class."""
    table = results.assessment_table(name, "conformal")
    table = table[(table["method"] == "lac") & (table["column"] == "dx")]
    rows = []
    for promise, words in _PROMISES.items():
        for metric in ("coverage", "size"):
            chosen = table[(table["promise"] == promise) & (table["metric"] == metric)]
            by_dx = chosen.set_index("group").to_dict("index")
            level = results.params.assess.coverage if metric == "coverage" else 0.0
            cells = [
                row_interval(by_dx[dx], 2) + (f" {_BELOW}" if by_dx[dx]["high"] < level else "")
                if dx in by_dx
                else MISSING
                for dx in CLASSES
            ]
            rows.append((f"{name}, LAC, {words}", metric, cells))
    return rows


def _headline(figures: Mapping[str, float], name: str, level: float) -> str:
    """Return a figure as text; a coverage whose interval lies below the level of the sets is marked."""
    below = name.startswith("conformal_coverage") and figures.get(f"{name}_high", level) < level
    return figure(figures, name, None) + (f" {_BELOW}" if below else "")


def _misses(results: Results, name: str) -> list[tuple[str, str, str, str]]:
    """Return the LAC sets whose promised coverage is not held: its interval lies below the level.

    One threshold promises coverage over all images, thresholds by class promise it in each class.
    """
    table, pooled = results.assessment_table(name, "conformal"), _pooled(results, name)
    table = table[(table["method"] == "lac") & (table["metric"] == "coverage")]
    over_all = (table["column"] == "all") & table["promise"].isin(_PROMISES)
    in_class = (table["column"] == "dx") & (table["promise"] == "by_class") & ~table["group"].isin(pooled)
    missed = table[(over_all | in_class) & (table["high"] < results.params.assess.coverage)]
    return [
        (name, _PROMISES[row["promise"]], "all images" if row["column"] == "all" else row["group"], row_interval(row))
        for row in missed.to_dict("records")
    ]


def _pooled(results: Results, name: str) -> list[str]:
    """Return the classes with too few validation lesions for a conformal threshold of their own."""
    notes: dict[str, list[str]] = results.assessment_notes(name)["classes_with_pooled_conformal_threshold"]
    return [dx for classes in notes.values() for dx in classes]


def _figures(results: Results) -> list[tuple[str, str]]:
    """Return figures with captions of the best experiment of each kind."""

    def tables(table: str) -> dict[str, pd.DataFrame]:
        return {f"{kind}: {name}": results.assessment_table(name, table) for kind, name in results.best.items()}

    reliability = [
        (
            curves.reliability(table, series, title),
            f"{name}. Reliability of the {title}; bins of equal numbers of images, bars are intervals.",
        )
        for name, table in tables("reliability").items()
        for series, title in (("top", "likeliest answer"), ("malignant", "malignancy"))
    ]
    decisions, precision, risk = tables("decision_curve"), tables("precision_recall"), tables("risk_coverage")
    roc = {f"{kind}: {name}": results.roc(name) for kind, name in results.best.items()}
    rates = ("false-positive rate", "sensitivity")
    return [
        *reliability,
        (curves.decision(decisions, "malignant"), "Malignant against benign; bands are intervals."),
        (curves.decision(decisions, "melanoma"), "Melanoma against the rest."),
        (curves.lines(roc, "false_positive_rate", "malignant", *rates), "ROC, malignant against benign."),
        (curves.lines(roc, "false_positive_rate", "macro", *rates), "ROC, mean over the seven classes."),
        (
            curves.lines(precision, "recall", "malignant", "recall", "precision"),
            "Precision and recall, malignant against benign.",
        ),
        (
            curves.lines(risk, "coverage", "probability", "share of images answered", "answered wrong"),
            "Risk and coverage: errors when the least sure images are deferred.",
        ),
    ]
