"""Two systems on the same images: differences with intervals, and the images whose answer changes."""

import numpy as np
import streamlit as st

from skinlesion.dashboard.results import Results, choose
from skinlesion.evaluation.subset import restrict
from skinlesion.stages.contracts import BOOTSTRAP_METHOD
from skinlesion.stages.pairs import pair_flips
from skinlesion.vocabulary import CLASSES

_SHOWN = 12


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
    table = results.comparisons()
    rows = table[
        (((table["a"] == a) & (table["b"] == b)) | ((table["a"] == b) & (table["b"] == a)))
        & (table["method"] == BOOTSTRAP_METHOD)
    ]
    if rows.empty:
        st.info(
            "`skinlesion stats` did not compare this pair: add it to stats.pairs in params.yaml and run `dvc repro`."
        )
        return
    st.subheader("Differences, lesions drawn whole")
    shown = rows[["a", "b", "metric", "a_value", "b_value", "difference", "low", "high", "p_adjusted", "verdict"]]
    st.dataframe(shown, hide_index=True, width="stretch")
    st.caption("b − a, paired on the same images; the verdict is against the margin of params.yaml.")


def _flips(results: Results, a: str, b: str) -> None:
    one, other = results.predictions(a), results.predictions(b)
    common = sorted(set(one.image_ids) & set(other.image_ids))
    if not common:
        st.info("These two were tested on different images.")
        return
    one, other = restrict(one, np.array(common)), restrict(other, np.array(common))
    first, second = one.probabilities.mean(axis=0), other.probabilities.mean(axis=0)
    found = pair_flips(one, other)
    lost, gained = (sum(len(ids) for ids in side) for side in ([f.lost for f in found], [f.gained for f in found]))
    st.subheader("Images whose answer changes")
    st.write(f"{lost:,} lost and {gained:,} gained from {a} to {b}, of {len(common):,}.")
    left, right = st.columns(2)
    what = left.radio("Show", ["lost", "gained"], horizontal=True, key="compare_what")
    dx = right.selectbox("Diagnosis", ["all", *CLASSES], key="compare_dx")
    ids = [
        str(image_id)
        for flips in found
        if dx in ("all", flips.class_name)
        for image_id in (flips.lost if what == "lost" else flips.gained)
    ]
    chosen = np.flatnonzero(np.isin(one.image_ids, ids))
    pages = max(1, -(-len(chosen) // _SHOWN))
    page = int(st.number_input(f"Page, of {pages}", 1, pages, 1, key="compare_page")) - 1
    columns = st.columns(6)
    for place, row in enumerate(chosen[page * _SHOWN : (page + 1) * _SHOWN]):
        caption = (
            f"{one.image_ids[row]}: {CLASSES[one.labels[row]]}; "
            f"{CLASSES[first[row].argmax()]} {first[row].max():.0%} → "
            f"{CLASSES[second[row].argmax()]} {second[row].max():.0%}"
        )
        columns[place % 6].image(results.photograph(str(one.image_ids[row])), caption=caption)
    if not len(chosen):
        st.info("None.")
