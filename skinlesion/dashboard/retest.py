"""The Retest page: published predictions that `retest` reanalysed, and the registry of published results."""

from typing import Any

import pandas as pd
import streamlit as st

from skinlesion.analysis.published_results import HEADLINE, Checked, read_entries
from skinlesion.analysis.retest import LEVEL, METRICS
from skinlesion.dashboard import charts, words
from skinlesion.dashboard.shared import part, show_figures, show_table
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import MISSING, count, figure, interval, number, p_value, percent
from skinlesion.results.reader import Results
from skinlesion.results.retests import RetestContent, RetestPair, find_retests, read_retest

#: Pairs are shown by it; `retest` judges by it unless told otherwise.
_PRIMARY = "balanced_accuracy"


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Retest")
    with part(results, "Reanalysis of published predictions"):
        _retests(results)
    with part(results, "Registry of published results"):
        _registry()


def _retests(results: Results) -> None:
    retests = find_retests(results.workspace)
    if not retests:
        st.info("None in this workspace: run `skinlesion retest FILES`; it writes the folder retest.")
        return
    folder = st.selectbox("Folder", list(retests), key="retest_folder")
    content = read_retest(retests[str(folder)])
    certificate = content["certificate"]
    outside = certificate["images_of_lesions_with_others_outside"]
    equal = sum(bool(row["equal"]) for row in content["figures"])
    pairs = [row for row in content["pairs"] if row["metric"] == _PRIMARY]
    differing = sum(row["p_holm"] is not None and row["p_holm"] < LEVEL for row in pairs)
    show_figures([
        ("Images", count(certificate["images"]), f"of {count(certificate['lesions'], 'lesion')}"),
        ("Lesion seen elsewhere", percent(outside / max(certificate["images"], 1)), "of the images"),
        ("Figures recomputed", f"{count(equal)} of {count(len(content['figures']))}", "to within 0.0001"),
        ("Pairs that differ", f"{count(differing)} of {count(len(pairs))}", f"p < {LEVEL}, Holm"),
    ])  # fmt: skip
    trained = certificate["images_of_trained_lesions"]
    note = "which images were trained on is not known" if trained is None else f"{count(trained)} were trained on"
    st.caption(
        f"{count(outside, 'image')} {'shows' if outside == 1 else 'show'} lesions with other images in the archive, "
        f"outside this set; {note}. Pairs are compared by lesion."
    )
    _models(content)
    _pairs(pairs)
    _figures(content)


def _models(content: RetestContent) -> None:
    rows: list[dict[str, Any]] = [dict(row) for row in content["models"]]
    rows.sort(key=lambda row: -(row[_PRIMARY] or 0))
    drawn = pd.DataFrame([
        {
            "name": row["model"], "value": row[_PRIMARY],
            "low": row[f"{_PRIMARY}_low"], "high": row[f"{_PRIMARY}_high"],
        }
        for row in rows
    ])  # fmt: skip
    st.altair_chart(charts.intervals(drawn, title=f"{title_of(_PRIMARY)}, with interval"), width="stretch")
    show_table(
        pd.DataFrame(
            [
                {"Model": row["model"], **{words.first_upper(title_of(name)): figure(row, name) for name in METRICS}}
                for row in rows
            ]
        )
    )


def _pairs(pairs: list[RetestPair]) -> None:
    if not pairs:
        return
    with st.expander(f"{count(len(pairs), 'pair')} of models"):
        show_table(
            pd.DataFrame(
                [
                    {
                        "From": row["a"],
                        "To": row["b"],
                        f"Difference in {title_of(_PRIMARY)}": interval(
                            row["difference"], row["low"], row["high"], signed=True
                        ),
                        "p": p_value(row["p"]),
                        "p, Holm": p_value(row["p_holm"]),
                        "p, published": MISSING if row["published_p"] is None else p_value(row["published_p"]),
                        "Verdict": words.first_upper(row["verdict"]),
                    }
                    for row in pairs
                ]
            )
        )


def _figures(content: RetestContent) -> None:
    unequal = [row for row in content["figures"] if not row["equal"]]
    if not unequal:
        return
    with st.expander(f"{count(len(unequal), 'published figure')} to which the recomputed one is not equal"):
        show_table(
            pd.DataFrame(
                [
                    {
                        "Model": row["model"],
                        "Figure": row["column"],
                        "Published": number(row["published"], 4),
                        "Recomputed": number(row["recomputed"], 4),
                        "Mean of bootstrap replicates": number(row["bootstrap_mean"], 4),
                    }
                    for row in unequal
                ]
            )
        )


def _registry() -> None:
    entries = [entry for entry in read_entries() if not entry.wrong]
    show_table(
        pd.DataFrame(
            [
                {
                    "Entry": entry.name,
                    "Split by": entry.entry.split.unit,
                    **{words.first_upper(title_of(metric)): _recomputed(entry, metric) for metric in HEADLINE},
                    "Result": entry.entry.title,
                    "Repository": entry.entry.source.repository,
                    "Predicted": entry.entry.predicted,
                }
                for entry in entries
            ]
        )
    )
    st.caption(
        f"{count(len(entries), 'entry', 'entries')}, each recomputed from its published counts of answers; intervals: "
        "95% over images, taken as independent."
    )
    by_title = {f"{entry.entry.title} ({entry.name})": entry for entry in entries}
    chosen = by_title[str(st.selectbox("Every printed figure of", list(by_title), key="retest_entry"))]
    st.caption(
        f"{chosen.entry.source.repository}@{chosen.entry.source.commit}; {chosen.entry.split.part}. {chosen.entry.note}"
    )
    show_table(pd.DataFrame(_printed(chosen)))


def _recomputed(entry: Checked, metric: str) -> str:
    ends = entry.intervals.get(metric)
    return interval(entry.values[metric], *ends) if ends else number(entry.values[metric])


def _printed(entry: Checked) -> list[dict[str, str]]:
    """Return every printed figure of an entry, with what follows from its counts."""
    rows = []
    for metric, printed in entry.entry.figures.items():
        published = printed if isinstance(printed, str) else printed.published
        computed = printed if isinstance(printed, str) else printed.recomputed
        rows.append({"Figure": words.first_upper(title_of(metric)), "Printed": published, "From the counts": computed})
    return rows + [
        {"Figure": words.first_upper(title_of(metric)), "Printed": digits, "From the counts": "needs probabilities"}
        for metric, digits in entry.entry.not_recomputed.items()
    ]
