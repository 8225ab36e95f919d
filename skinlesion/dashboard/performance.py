"""The Performance page: metrics, confusion matrix, classes, calibration and subgroups of one system."""

from typing import Any, cast

import numpy as np
import pandas as pd
import streamlit as st

from skinlesion.dashboard import charts, words
from skinlesion.dashboard.class_table import class_table, weighted_means
from skinlesion.dashboard.shared import choose, part, say_missing, show_figures, show_table
from skinlesion.errors import UserError
from skinlesion.evaluation import registry
from skinlesion.evaluation.registry import metric_of, title_of
from skinlesion.numbers import MISSING, count, figure, interval, interval_note, limits, number, p_value, percent
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES

_SERIES = {"top": "the likeliest answer", "malignant": "malignancy", "melanoma": "melanoma"}
_RANKED = 3

_HELP = """
- **Balanced accuracy** is the mean over the seven classes of the sensitivity: every class counts alike. **Accuracy** is
  the share of images answered rightly: common classes count most.
- **Sensitivity** (recall) is the share of a class's images that are answered with it; **precision** the share of
  answers with a class that are right; **F1** their harmonic mean; **specificity** the share of other classes' images
  that are not answered with it.
- **Macro** figures are means over classes, **weighted** ones means weighted by the number of images of each class.
- **AUC** is the probability that an image of the class has a higher score for it than an image of another class.
- Brackets hold intervals: images of one lesion count as one unit.
"""


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Performance")
    system = choose("System", results)
    if system is None:
        return
    metrics = results.metrics(system)
    figures = []
    for name in registry.CARD:
        places = metric_of(name).places
        ends = limits(metrics.get(f"{name}_low"), metrics.get(f"{name}_high"), places)
        figures.append((title_of(name), number(metrics.get(name), places), "" if ends == MISSING else ends))
    show_figures(figures)
    try:
        st.caption(f"{interval_note(results.notes(system))}.")
    except UserError as error:
        say_missing(results, error)
    with st.expander("What these figures mean"):
        st.markdown(_HELP)
    with part(results, "Confusion matrix"):
        _confusion(results, system)
    with part(results, "By class"):
        _classes(results, system)
    with part(results, "Calibration"):
        _calibration(results, system)
    with part(results, "Subgroups"):
        _subgroups(results, system)


def _confusion(results: Results, name: str) -> None:
    counts = results.confusion(name)
    shares = st.toggle("Shares of each true class", value=True, key="performance_normalised")
    st.altair_chart(charts.confusion(counts, shares=shares), width="stretch")
    layers = len(results.predictions(name).layers)
    st.caption(
        f"Rows: the true diagnosis; columns: the answer; shaded by the cell's share of its row. "
        f"{count(layers, 'training')} of each fold together."
    )


def _classes(results: Results, name: str) -> None:
    metrics = results.metrics(name)
    try:
        tested = results.predictions(name)
        sizes = np.bincount(tested.labels, minlength=len(CLASSES))
    except UserError:  # committed results without their predictions
        sizes = None
    table = class_table(metrics, sizes)
    valid = table.dropna(subset=["F1"]).sort_values("F1", ascending=False)
    best, worst = st.columns(2)
    for column, title, rows in ((best, "Best by F1", valid.head(_RANKED)), (worst, "Worst", valid.tail(_RANKED)[::-1])):
        lines = [f"1. {row['class']}: {number(row['F1'])}" for row in rows.to_dict("records")]
        column.markdown("\n".join([f"**{title}**", "", *lines]))
    bars = charts.melted(
        table.assign(code=list(CLASSES)), {name: name.lower() for name in ("Precision", "Sensitivity", "F1")},
        "code", "value",
    )  # fmt: skip
    bars["series"] = bars["series"].replace({"f1": "F1"})
    st.altair_chart(charts.grouped_bars(bars, "code", "value", "series"), width="stretch")
    if sizes is not None:
        st.markdown("**Images of each class, coloured by F1**")
        sized = table.rename(columns={"Images": "images"}).assign(**{"class": list(CLASSES)})
        st.altair_chart(charts.bars(sized, "class", "images", colour="F1"))
    _class_cells(table, sizes, metrics)


def _class_cells(table: pd.DataFrame, sizes: np.ndarray | None, metrics: dict[str, float]) -> None:
    shown = table.rename(columns={"class": "Class"})
    values: Any = [name for name in shown.columns if name not in ("Class", "Images")]
    if sizes is not None:
        means = {"Class": "weighted mean", "Images": int(sizes.sum()), **weighted_means(table)}
        shown = pd.concat([shown, pd.DataFrame([means])], ignore_index=True)
    style: Any = shown.style.format(cast(Any, number), subset=values).background_gradient(
        "Blues", subset=values, vmin=0, vmax=1.4
    )
    if sizes is not None:
        style = style.format(cast(Any, count), subset=["Images"])
    st.dataframe(style, hide_index=True, width="stretch")
    st.caption(f"Macro F1 {figure(metrics, 'macro_f1')}, accuracy {figure(metrics, 'accuracy')}.")


def _calibration(results: Results, name: str) -> None:
    table = results.assessment_table(name, "reliability")
    series = st.radio("Of", list(_SERIES), horizontal=True, key="performance_series", format_func=_SERIES.__getitem__)
    lines = pd.concat([
        pd.DataFrame({
            "probability": table[f"confidence_{series}_{state}"],
            "came true": table[f"observed_{series}_{state}"],
            "low": table[f"observed_{series}_{state}_low"],
            "high": table[f"observed_{series}_{state}_high"],
            "images": table[f"images_{series}_{state}"],
            "probabilities": label,
        })
        for state, label in (("uncalibrated", "as trained"), ("calibrated", "after calibration"))
    ])  # fmt: skip
    st.altair_chart(charts.reliability(lines), width="stretch")
    assessment = results.assessment(name)
    st.write(
        f"On the dashed diagonal probabilities come true as often as they say. "
        f"RMS calibration error {figure(assessment, 'rms_calibration_error_uncalibrated')} before and "
        f"{figure(assessment, 'rms_calibration_error_calibrated')} after calibration; conformal sets (LAC by "
        f"class) hold {number(assessment['conformal_set_size_lac_by_class'], 2)} "
        f"answers and the truth in {percent(assessment['conformal_coverage_lac_by_class'], 1)} of lesions."
    )


def _subgroups(results: Results, name: str) -> None:
    table = results.subgroups(name)
    columns = list(dict.fromkeys(table["column"].dropna()))
    if not columns:
        st.info("No subgroup columns in these data.")
        return
    left, right = st.columns(2)
    column = left.selectbox(
        "By", columns, key="performance_column", format_func=lambda option: str(option).replace("_", " ")
    )
    metric = right.selectbox(
        "Figure", list(dict.fromkeys(table["metric"].dropna())), key="performance_metric", format_func=title_of
    )
    rows = table[(table["column"] == column) & ((table["metric"] == metric) | table["metric"].isna())]
    drawn = rows.dropna(subset=["value"])
    if len(drawn):
        drawn = drawn.assign(name=drawn["group"])
        st.altair_chart(charts.intervals(drawn, title=title_of(str(metric))), width="stretch")
    show_table(
        pd.DataFrame(
            [
                {
                    "Group": row["group"],
                    "Images": count(row["images"]),
                    "Lesions": count(row["lesions"]),
                    words.first_upper(title_of(str(metric))): interval(row["value"], row["low"], row["high"]),
                    "All others": number(row["rest"]),
                    "Adjusted p": p_value(row["p_adjusted"]),
                    "Note": "; ".join(filter(None, (row["worst"], row["note"]))),
                }
                for row in rows.to_dict("records")
            ]
        )
    )
