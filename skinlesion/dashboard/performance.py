"""One system: its figures, confusion matrix, classes, calibration and subgroups."""

import numpy as np
import pandas as pd
import streamlit as st

from skinlesion.dashboard.results import Results, choose
from skinlesion.evaluation.metrics import confusion_matrix
from skinlesion.vocabulary import CLASSES

_HEADLINES = ("balanced_accuracy", "macro_f1", "macro_auc", "accuracy", "malignant_auc")


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Performance")
    name = choose("System", results, "performance_name")
    if name is None:
        return
    metrics = results.metrics(name)
    for column, metric in zip(st.columns(len(_HEADLINES)), _HEADLINES, strict=True):
        if metric in metrics:
            column.metric(metric.replace("_", " "), f"{metrics[metric]:.3f}")
            if f"{metric}_low" in metrics:
                column.caption(f"{metrics[f'{metric}_low']:.3f} to {metrics[f'{metric}_high']:.3f}")
    st.caption(f"{results.notes(name)['interval']}.")
    _confusion(results, name)
    _classes(metrics)
    _calibration(results, name)
    _subgroups(results, name)


def _confusion(results: Results, name: str) -> None:
    st.subheader("Confusion matrix")
    predictions = results.predictions(name)
    answers = predictions.probabilities.argmax(axis=2)
    counts = np.sum([confusion_matrix(predictions.labels, layer) for layer in answers], axis=0)
    normalised = st.toggle("Shares of each true class", value=True, key="performance_normalised")
    shown = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if normalised else counts
    table = pd.DataFrame(shown, index=pd.Index(CLASSES, name="true"), columns=CLASSES)
    st.dataframe(table.style.format("{:.2f}" if normalised else "{:,.0f}").background_gradient("Blues", axis=1))
    st.caption(f"Columns: the answer. {len(answers)} seeds together.")


def _classes(metrics: dict[str, float]) -> None:
    st.subheader("By class")
    kinds = ("sensitivity", "specificity", "precision", "f1", "auc")
    table = pd.DataFrame({kind: [metrics.get(f"{kind}_{dx}") for dx in CLASSES] for kind in kinds}, index=list(CLASSES))
    st.dataframe(table.style.format("{:.3f}", na_rep="undefined"))
    known = table["f1"].dropna()
    if len(known):
        st.write(
            f"Best by F1: **{known.idxmax()}** ({known.max():.3f}); worst: **{known.idxmin()}** ({known.min():.3f})."
        )


def _calibration(results: Results, name: str) -> None:
    st.subheader("Calibration")
    table = results.assessed(name, "reliability")
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
        f"ECE {assessment['ece_uncalibrated']:.3f} before and {assessment['ece_calibrated']:.3f} after calibration; "
        f"conformal sets (LAC by class) hold {assessment['conformal_set_size_lac_by_class']:.2f} answers and the truth "
        f"in {assessment['conformal_coverage_lac_by_class']:.1%} of lesions."
    )


def _subgroups(results: Results, name: str) -> None:
    st.subheader("Subgroups")
    table = results.assessed(name, "subgroups")
    columns = list(dict.fromkeys(table["column"].dropna()))
    if not columns:
        st.info("No subgroup columns in these data.")
        return
    left, right = st.columns(2)
    column = left.selectbox("Column", columns, key="performance_column")
    metric = right.selectbox("Figure", list(dict.fromkeys(table["metric"].dropna())), key="performance_metric")
    shown = table[(table["column"] == column) & ((table["metric"] == metric) | table["metric"].isna())]
    wanted = ["group", "images", "lesions", "value", "low", "high", "gap", "p_adjusted", "worst", "note"]
    st.dataframe(shown[wanted].fillna({"worst": "", "note": ""}), hide_index=True, width="stretch")
