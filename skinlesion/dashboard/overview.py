"""The Overview page: whether metadata helps, the leader board, and the claims with their answers."""

import pandas as pd
import streamlit as st

from skinlesion.analysis.published_projects import read_projects
from skinlesion.dashboard import charts, words
from skinlesion.dashboard.shared import part, show_table
from skinlesion.evaluation import registry
from skinlesion.evaluation.registry import places_of, title_of
from skinlesion.numbers import count, figure
from skinlesion.report.claim_words import claim_sentence, multiplicity_words
from skinlesion.report.effect_page import effect_answer
from skinlesion.results.reader import Results

#: Systems on the leader board before the others are asked for.
_TOP = 10
_SPLITS = {True: "split by lesion", False: "split by image"}
#: Sentences of the answer that are shown first, as on reports/headline.md.
_FIRST = 2


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Overview")
    with part(results, "Does metadata help?"):
        _answer(results)
    with part(results, "Leader board"):
        _leader_board(results)
    with part(results, "Claims, and what these results say of them"):
        _claims(results)


def _answer(results: Results) -> None:
    sentences = effect_answer(results)
    if not sentences:
        st.info("Not asked: `effect.multimodal` of params.yaml names no experiment that has an image-only twin.")
        return
    for sentence in sentences[:_FIRST]:
        st.markdown(sentence)
    if len(sentences) > _FIRST:
        with st.expander("More: leaks, sources of the images, equal effort"):
            for sentence in sentences[_FIRST:]:
                st.markdown(sentence)
    st.caption("The page Metadata has the tables behind it.")


def _leader_board(results: Results) -> None:
    names = [name for name in results.evaluated() if name in results.shown]
    if not names:
        st.info("No results yet: run `dvc repro`.")
        return
    primary = results.params.stats.primary
    by_lesion = {name: words.split_by(results.params, name) == "lesion" for name in names}
    # Systems whose split flatters stand below all others, whatever their figures.
    ranked = sorted(names, key=lambda name: (not by_lesion[name], -results.metrics(name).get(primary, float("-inf"))))
    all_of_them = len(ranked) > _TOP and st.toggle(f"All {count(len(ranked), 'system')}", key="overview_all")
    shown = ranked if all_of_them else ranked[:_TOP]
    rows = []
    for name in shown:
        metrics = results.metrics(name)
        split = _SPLITS[by_lesion[name]]
        ends = {end: metrics.get(f"{primary}_{end}") for end in ("low", "high")}
        rows.append({"name": name, "value": metrics.get(primary), **ends, "split": split})
    table = pd.DataFrame(rows)
    kind = "split" if len(set(table["split"])) > 1 else None
    st.altair_chart(charts.intervals(table, title=f"{title_of(primary)}, with interval", kind=kind), width="stretch")
    missing = len(results.shown) - len(names)
    text = f"The {count(len(shown))} best of {count(len(ranked), 'system')} by {title_of(primary)} on test images"
    if kind is not None:
        text += (
            "; those split by image stand last: other images of tested lesions were trained on, which inflates their "
            "figures"
        )
    st.caption(f"{text}; {count(missing, 'system')} not evaluated yet." if missing else f"{text}.")
    show_table(
        pd.DataFrame(
            [
                {
                    "System": name,
                    **{
                        words.first_upper(title_of(metric)): figure(results.metrics(name), metric, places_of(metric))
                        for metric in registry.TABLE
                    },
                    "Input": words.sees(results.params, name),
                    "Split by": words.split_by(results.params, name),
                }
                for name in shown
            ]
        )
    )


def _claims(results: Results) -> None:
    table = results.statistics_table("claims")
    if table.empty:
        st.info("params.yaml holds no claims.")
        return
    projects = read_projects()
    for row in table.to_dict("records"):
        st.markdown(f"{words.answer_badge(row['answer'])} {claim_sentence(row, results.params, projects)}")
        st.caption(f"Claimed by: {row['source']}")
    st.caption(" ".join(multiplicity_words(results.params, len(table))))
