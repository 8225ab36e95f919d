"""The Performance page: metrics, confusion matrix, classes, calibration and subgroups of one system."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from skinlesion.dashboard.shared import choose
from skinlesion.evaluation import registry
from skinlesion.evaluation.registry import metric_of, title_of
from skinlesion.numbers import MISSING, count, figure, interval_note, limits, number, percent
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Performance")
    system = choose("System", results, "performance_name")
    if system is None:
        return
    metrics = results.metrics(system)
    for column, name in zip(st.columns(len(registry.CARD)), registry.CARD, strict=True):
        places = metric_of(name).places
        column.metric(title_of(name), number(metrics.get(name), places))
        ends = limits(metrics.get(f"{name}_low"), metrics.get(f"{name}_high"), places)
        if ends != MISSING:
            column.caption(ends)
    st.caption(f"{interval_note(results.notes(system))}.")
    _confusion(results, system)
    _classes(metrics)
    _calibration(results, system)
    _subgroups(results, system)


def _confusion(results: Results, name: str) -> None:
    st.subheader("Confusion matrix")
    counts = results.confusion(name)
    normalised = st.toggle("Shares of each true class", value=True, key="performance_normalised")
    shown = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if normalised else counts
    table = pd.DataFrame(shown, index=pd.Index(CLASSES, name="true"), columns=CLASSES)
    st.dataframe(table.style.format(_cells(2 if normalised else 0)).background_gradient("Blues", axis=1))
    layers = len(results.predictions(name).layers)
    st.caption(f"Columns: the answer. {count(layers, 'training')} of each fold together.")


def _cells(places: int) -> Callable[[Any], str]:
    return lambda value: number(value, places)


def _classes(metrics: dict[str, float]) -> None:
    st.subheader("By class")
    kinds = ("sensitivity", "specificity", "precision", "f1", "auc")
    table = pd.DataFrame({kind: [metrics.get(f"{kind}_{dx}") for dx in CLASSES] for kind in kinds}, index=list(CLASSES))
    st.dataframe(table.style.format(_cells(3)))
    known = table["f1"].dropna()
    if len(known):
        st.write(
            f"Best by F1: **{known.idxmax()}** ({number(known.max())}); "
            f"worst: **{known.idxmin()}** ({number(known.min())})."
        )


def _calibration(results: Results, name: str) -> None:
    st.subheader("Calibration")
    table = results.assessment_table(name, "reliability")
    series = st.radio(
        "Of", ["top", "malignant", "melanoma"], horizontal=True, key="performance_series",
        format_func={"top": "the likeliest answer", "malignant": "malignancy", "melanoma": "melanoma"}.get,
    )  # fmt: skip
    lines = pd.concat([
        pd.DataFrame({
            "probability": table[f"confidence_{series}_{state}"],
            "came true": table[f"observed_{series}_{state}"],
            "probabilities": state,
        })
        for state in ("uncalibrated", "calibrated")
    ])  # fmt: skip
    st.line_chart(lines, x="probability", y="came true", color="probabilities")
    assessment = results.assessment(name)
    st.write(
        f"RMS calibration error {figure(assessment, 'rms_calibration_error_uncalibrated')} before and "
        f"{figure(assessment, 'rms_calibration_error_calibrated')} after calibration; conformal sets (LAC by "
        f"class) hold {number(assessment['conformal_set_size_lac_by_class'], 2)} "
        f"answers and the truth in {percent(assessment['conformal_coverage_lac_by_class'], 1)} of lesions."
    )


def _subgroups(results: Results, name: str) -> None:
    st.subheader("Subgroups")
    table = results.subgroups(name)
    columns = list(dict.fromkeys(table["column"].dropna()))
    if not columns:
        st.info("No subgroup columns in these data.")
        return
    left, right = st.columns(2)
    column = left.selectbox("Column", columns, key="performance_column")
    metric = right.selectbox("Figure", list(dict.fromkeys(table["metric"].dropna())), key="performance_metric")
    shown = table[(table["column"] == column) & ((table["metric"] == metric) | table["metric"].isna())]
    wanted = ["group", "images", "lesions", "value", "low", "high", "gap", "p_adjusted", "worst", "note"]
    st.dataframe(shown[wanted], hide_index=True, width="stretch")
