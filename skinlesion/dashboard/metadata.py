"""The Metadata page: what `effect` and `metadata` wrote on whether age, sex and localization help."""

import pandas as pd
import streamlit as st

from skinlesion.dashboard import charts, words
from skinlesion.dashboard.shared import part, show_table
from skinlesion.evaluation.registry import METRICS, title_of
from skinlesion.numbers import figure
from skinlesion.report.effect_page import APPROXIMATE, Answers, effect_answer, effect_tables
from skinlesion.report.headlines import REPORT_METADATA
from skinlesion.results.reader import Results
from skinlesion.results.selection import twin_of

_FIELDS = ("age", "sex", "localization")


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Metadata")
    with part(results, "Does metadata help?"):
        _effect(results)
    with part(results, "What metadata adds to each multimodal experiment"):
        _value(results)
    with part(results, "Where metadata is missing"):
        _missing(results)
    with part(results, "What each field adds"):
        _fields(results)


def _effect(results: Results) -> None:
    sentences = effect_answer(results)
    if not sentences:
        st.info("Not asked: `effect.multimodal` of params.yaml names no experiment that has an image-only twin.")
        return
    for sentence in sentences:
        st.markdown(f"- {sentence}")
    for table in effect_tables(Answers(results.effect_table, results.label_noise)):
        with st.expander(table.title):
            st.write(table.note)
            header = [words.first_upper(name) or "Of" for name in table.header]
            show_table(pd.DataFrame(table.rows, columns=header))
    st.caption(f"Every row is exploratory and allows for no other row; claims are judged as one family. {APPROXIMATE}")


def _value(results: Results) -> None:
    figures = results.metadata_value
    if not figures:
        st.info("No experiment reads metadata.")
        return
    show_table(
        pd.DataFrame(
            [
                {
                    "Experiment": name,
                    "Image-only twin": twin_of(results.params, name) or "none",
                    **{words.first_upper(title_of(key)): figure(values, key, None) for key in REPORT_METADATA},
                }
                for name, values in figures.items()
            ]
        )
    )
    gains = pd.DataFrame([
        {
            "name": name, "value": values.get("gain_over_image_only"),
            "low": values.get("gain_over_image_only_low"), "high": values.get("gain_over_image_only_high"),
        }
        for name, values in figures.items()
    ]).dropna()  # fmt: skip
    if len(gains):
        title = "gain in balanced accuracy over the image-only twin"
        st.altair_chart(charts.intervals(gains, title=title, zero=True), width="stretch")


def _missing(results: Results) -> None:
    table = results.metadata_table("missing")
    if table.empty:
        st.info("No experiment reads metadata.")
        return
    left, right = st.columns(2)
    name = left.selectbox("Experiment", list(dict.fromkeys(table["experiment"])), key="metadata_name")
    metric = right.selectbox(
        "Metric", [option for option in dict.fromkeys(table["metric"]) if option in METRICS], key="metadata_metric",
        format_func=title_of,
    )  # fmt: skip
    rows = table[(table["experiment"] == name) & (table["metric"] == metric) & (table["missing_in"] == "all")]
    title, share = title_of(str(metric)), "share of metadata missing"
    curves = [
        pd.DataFrame({share: curve["rate"], title: curve["value"], "series": series})
        for missing, series in (("record", "whole records missing"), ("each field", "each field by itself"))
        if len(curve := rows[rows["missing"] == missing])
    ]
    twin = rows["twin_value"].dropna()
    if len(twin):
        curves.append(pd.DataFrame({share: [0.0, 1.0], title: [twin.iloc[0]] * 2, "series": "image-only twin"}))
    st.altair_chart(charts.lines(pd.concat(curves), share, title, "series", y_title=title), width="stretch")


def _fields(results: Results) -> None:
    table = results.metadata_table("shapley")
    if table.empty:
        st.info("No experiment reads metadata.")
        return
    rows = table[table["metric"] == "balanced_accuracy"].assign(name=lambda frame: frame["field"])
    experiments = list(dict.fromkeys(rows["experiment"]))
    name = st.selectbox("Experiment", experiments, key="metadata_shapley") if len(experiments) > 1 else experiments[0]
    frame = rows[rows["experiment"] == name].set_index("field").reindex(_FIELDS).dropna(subset=["value"]).reset_index()
    title = "added to balanced accuracy, Shapley value"
    st.altair_chart(charts.intervals(frame, title=title, zero=True), width="stretch")
    st.caption("A field's Shapley value is the mean of what it adds over all orders in which fields become known.")
