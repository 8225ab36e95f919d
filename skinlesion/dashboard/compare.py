"""The Compare page: differences between two systems with intervals, and the images whose answer changes."""

import numpy as np
import streamlit as st

from skinlesion.analysis.comparison import pair_flips
from skinlesion.dashboard.shared import choose
from skinlesion.evaluation.predictions import restrict_images
from skinlesion.numbers import count, percent
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES

_SHOWN = 12
_COLUMNS = (
    "a", "b", "metric", "a_value", "b_value", "difference", "low_adjusted", "high_adjusted", "p_adjusted", "adjustment",
    "about", "verdict",
)  # fmt: skip


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Compare")
    left, right = st.columns(2)
    with left:
        a = choose("From", results, "compare_a", 0)
    with right:
        b = choose("To", results, "compare_b", 1)
    if a is None or b is None or a == b:
        st.info("Choose two different systems.")
        return
    _differences(results, a, b)
    _flips(results, a, b)


def _differences(results: Results, a: str, b: str) -> None:
    table = results.statistics_table("comparisons")
    rows = table[
        (((table["a"] == a) & (table["b"] == b)) | ((table["a"] == b) & (table["b"] == a))) & (table["family"] != "")
    ]
    if rows.empty:
        st.info(
            "`skinlesion stats` did not compare this pair: add it to stats.pairs in params.yaml and run `dvc repro`."
        )
        return
    st.subheader("Differences, lesions resampled as clusters")
    shown = rows[list(_COLUMNS)]
    st.dataframe(shown, hide_index=True, width="stretch")
    st.caption(
        "b − a, paired on the same images; intervals and p-values allow for the family of comparisons, and the verdict "
        "agrees with them."
    )


def _flips(results: Results, a: str, b: str) -> None:
    from_a, to_b = results.predictions(a), results.predictions(b)
    common = sorted(set(from_a.image_ids) & set(to_b.image_ids))
    if not common:
        st.info("These two were tested on different images.")
        return
    from_a, to_b = restrict_images(from_a, np.array(common)), restrict_images(to_b, np.array(common))
    before, after = from_a.probabilities.mean(axis=0), to_b.probabilities.mean(axis=0)
    flips = pair_flips(from_a, to_b)
    lost, gained = sum(len(flip.lost) for flip in flips), sum(len(flip.gained) for flip in flips)
    st.subheader("Images whose answer changes")
    st.write(f"{count(lost)} lost and {count(gained)} gained from {a} to {b}, of {count(len(common), 'image')}.")
    left, right = st.columns(2)
    what = left.radio("Show", ["lost", "gained"], horizontal=True, key="compare_what")
    dx = right.selectbox("Diagnosis", ["all", *CLASSES], key="compare_dx")
    ids = [
        str(image_id)
        for flip in flips
        if dx in ("all", flip.class_name)
        for image_id in (flip.lost if what == "lost" else flip.gained)
    ]
    chosen = np.flatnonzero(np.isin(from_a.image_ids, ids))
    pages = max(1, -(-len(chosen) // _SHOWN))
    page = int(st.number_input(f"Page, of {pages}", 1, pages, 1, key="compare_page")) - 1
    columns = st.columns(6)
    for place, row in enumerate(chosen[page * _SHOWN : (page + 1) * _SHOWN]):
        caption = (
            f"{from_a.image_ids[row]}: {CLASSES[from_a.labels[row]]}; "
            f"{CLASSES[before[row].argmax()]} {percent(before[row].max())} → "
            f"{CLASSES[after[row].argmax()]} {percent(after[row].max())}"
        )
        columns[place % 6].image(results.photograph(str(from_a.image_ids[row])), caption=caption)
    if not len(chosen):
        st.info("None.")
