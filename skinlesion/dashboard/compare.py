"""Two systems on the same images: differences with intervals, and the images whose answer changes."""

import streamlit as st

from skinlesion.dashboard.results import Results, choose
from skinlesion.evaluation.subset import restrict
from skinlesion.stages.contracts import BOOTSTRAP_METHOD
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
    import numpy as np

    one, other = restrict(one, np.array(common)), restrict(other, np.array(common))
    first, second = one.probabilities.mean(axis=0), other.probabilities.mean(axis=0)
    before, after = first.argmax(axis=1), second.argmax(axis=1)
    lost = (before == one.labels) & (after != one.labels)
    gained = (before != one.labels) & (after == one.labels)
    st.subheader("Images whose answer changes")
    st.write(f"{lost.sum():,} lost and {gained.sum():,} gained from {a} to {b}, of {len(common):,}.")
    left, right = st.columns(2)
    what = left.radio("Show", ["lost", "gained"], horizontal=True, key="compare_what")
    dx = right.selectbox("Diagnosis", ["all", *CLASSES], key="compare_dx")
    chosen = np.flatnonzero(lost if what == "lost" else gained)
    if dx != "all":
        chosen = chosen[one.labels[chosen] == CLASSES.index(dx)]
    pages = max(1, -(-len(chosen) // _SHOWN))
    page = int(st.number_input(f"Page, of {pages}", 1, pages, 1, key="compare_page")) - 1
    columns = st.columns(6)
    for place, row in enumerate(chosen[page * _SHOWN : (page + 1) * _SHOWN]):
        caption = (
            f"{one.image_ids[row]}: {CLASSES[one.labels[row]]}; "
            f"{CLASSES[before[row]]} {first[row].max():.0%} → {CLASSES[after[row]]} {second[row].max():.0%}"
        )
        columns[place % 6].image(results.photograph(str(one.image_ids[row])), caption=caption)
    if not len(chosen):
        st.info("None.")
