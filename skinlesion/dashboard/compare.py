"""The Compare page: two systems by metric, class and image, and which of them is shown to be better."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from skinlesion.analysis.comparison import pair_flips
from skinlesion.dashboard import charts, words
from skinlesion.dashboard.comparing import compare_two, judged_rows, shared_images
from skinlesion.dashboard.shared import choose, part, say_missing, show_table
from skinlesion.errors import UserError
from skinlesion.evaluation.registry import places_of, title_of
from skinlesion.numbers import count, figure, interval, number, p_value, percent
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES

_SHOWN = 12


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Compare")
    left, right = st.columns(2)
    with left:
        a = choose("From", results, "experiment", 0)
    with right:
        b = choose("To", results, "other", 1) if a is not None else None
    if a is None or b is None or a == b:
        st.info("Choose two different systems.")
        return
    with part(results, "Which is better?"):
        _differences(results, a, b)
    with part(results, "Confusion matrices"):
        _confusions(results, a, b)
    with part(results, "F1 by class"):
        _classes(results, a, b)
    with part(results, "Images whose answer changes"):
        _flips(results, a, b)


def _differences(results: Results, a: str, b: str) -> None:
    comparisons, settings = results.statistics_table("comparisons"), results.params.stats
    metrics = dict.fromkeys([settings.primary, *settings.metrics])
    rows: list[Mapping[str, Any]] = [
        row for metric in metrics if (row := words.judged_pair(comparisons, a, b, metric)) is not None
    ]
    if not rows:
        st.info(
            "`skinlesion stats` did not compare this pair: add it to stats.pairs in params.yaml and run `dvc repro`."
        )
    else:
        st.markdown(words.verdict_sentence(rows[0], settings.confidence))
    try:
        compared = judged_rows(compare_two((a, b), results.predictions(a), results.predictions(b), settings))
        rows += [row.model_dump() for row in compared if row.metric not in {judged["metric"] for judged in rows}]
    except UserError as error:  # committed results without their predictions, or other images
        say_missing(results, error)
    accuracy = next((row for row in rows if row["metric"] == "accuracy"), None)
    if accuracy is not None:
        st.markdown(words.verdict_sentence(accuracy, settings.confidence))
    if rows:
        show_differences(rows)
    first, second = results.metrics(a), results.metrics(b)
    wanted = ("accuracy", *metrics)
    show_table(
        pd.DataFrame(
            [
                {
                    "Metric": words.first_upper(title_of(metric)),
                    a: figure(first, metric, places_of(metric)),
                    b: figure(second, metric, places_of(metric)),
                }
                for metric in wanted
            ]
        )
    )


def show_differences(rows: list[Mapping[str, Any]]) -> None:
    """Draw judged differences b − a with their intervals, and write them as a table."""
    drawn = pd.DataFrame([
        {
            "name": title_of(row["metric"]), "value": row["difference"],
            "low": row["low_adjusted"], "high": row["high_adjusted"],
        }
        for row in rows
    ])  # fmt: skip
    title = f"difference, {rows[0]['b']} − {rows[0]['a']}"
    drawn = drawn.dropna()
    if len(drawn):
        st.altair_chart(charts.intervals(drawn, title=title, zero=True), width="stretch")
    show_table(
        pd.DataFrame(
            [
                {
                    "Metric": words.first_upper(title_of(row["metric"])),
                    "Difference": interval(
                        row["difference"],
                        row["low_adjusted"],
                        row["high_adjusted"],
                        places_of(row["metric"]),
                        signed=True,
                    ),
                    "Adjusted p": p_value(row["p_adjusted"]),
                    "Verdict": words.first_upper(row["verdict"]),
                    "Adjusted for": words.first_upper(row["adjustment"] or ""),
                    "About": words.first_upper(row["about"] or ""),
                }
                for row in rows
            ]
        )
    )
    st.caption(
        f"{rows[0]['b']} − {rows[0]['a']}, paired on the same images, lesions as clusters; intervals and p-values "
        "allow for the family of comparisons named, and the verdict agrees with them."
    )


def _confusions(results: Results, a: str, b: str) -> None:
    shares = st.toggle("Shares of each true class", value=True, key="compare_normalised")
    for column, name in zip(st.columns(2), (a, b), strict=True):
        column.markdown(f"**{name}**")
        column.altair_chart(charts.confusion(results.confusion(name), shares=shares), width="stretch")
    st.caption("Rows: the true diagnosis; columns: the answer; shaded by the cell's share of its row.")


def _classes(results: Results, a: str, b: str) -> None:
    rows = [
        {"class": dx, "F1": results.metrics(name).get(f"f1_{dx}", np.nan), "system": name}
        for dx in CLASSES
        for name in (a, b)
    ]
    st.altair_chart(charts.grouped_bars(pd.DataFrame(rows), "class", "F1", "system", y_title="F1"), width="stretch")
    first, second = results.metrics(a), results.metrics(b)
    show_table(
        pd.DataFrame(
            [
                {
                    "Class": words.class_title(dx),
                    a: figure(first, f"f1_{dx}"),
                    b: figure(second, f"f1_{dx}"),
                    "Difference": number(second.get(f"f1_{dx}", np.nan) - first.get(f"f1_{dx}", np.nan), signed=True),
                }
                for dx in CLASSES
            ]
        )
    )


def _flips(results: Results, a: str, b: str) -> None:
    from_a, to_b = shared_images(results.predictions(a), results.predictions(b))
    if not len(from_a.labels):
        st.info("These two were tested on different images.")
        return
    before, after = from_a.probabilities.mean(axis=0), to_b.probabilities.mean(axis=0)
    flips = pair_flips(from_a, to_b)
    lost, gained = sum(len(flip.lost) for flip in flips), sum(len(flip.gained) for flip in flips)
    st.write(
        f"{count(lost)} lost (right under {a}, wrong under {b}) and {count(gained)} gained, of "
        f"{count(len(from_a.labels), 'image')}."
    )
    left, middle, right = st.columns(3)
    what = left.radio("Show", ["lost", "gained"], horizontal=True, key="compare_what")
    dx = middle.selectbox(
        "Diagnosis", ["all", *CLASSES], key="compare_dx",
        format_func=lambda name: "all" if name == "all" else words.class_title(name),
    )  # fmt: skip
    ids = [
        str(image_id)
        for flip in flips
        if dx in ("all", flip.class_name)
        for image_id in (flip.lost if what == "lost" else flip.gained)
    ]
    chosen = np.flatnonzero(np.isin(from_a.image_ids, ids))
    if not len(chosen):
        st.info("None.")
        return
    pages = -(-len(chosen) // _SHOWN)
    page = int(right.number_input(f"Page, of {pages}", 1, pages, 1, key="compare_page")) - 1
    rows = chosen[page * _SHOWN : (page + 1) * _SHOWN]
    for start in range(0, len(rows), 6):
        for column, row in zip(st.columns(6), rows[start : start + 6], strict=False):
            caption = (
                f"{from_a.image_ids[row]}  \n{CLASSES[from_a.labels[row]]}; "
                f"{CLASSES[before[row].argmax()]} {percent(before[row].max())} → "
                f"{CLASSES[after[row].argmax()]} {percent(after[row].max())}"
            )
            column.image(results.photograph(str(from_a.image_ids[row])), caption=caption)
