"""The Score page: uploaded predictions scored as `score` does it, and compared as `compare` does."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from skinlesion.analysis.summary import summarise
from skinlesion.dashboard import charts, words
from skinlesion.dashboard.class_table import COLUMNS, class_table
from skinlesion.dashboard.compare import show_differences
from skinlesion.dashboard.comparing import compare_two, judged_rows
from skinlesion.dashboard.shared import MOST_BYTES, part, show_table
from skinlesion.dashboard.uploads import ENDINGS, Upload, UploadedPredictions, read_upload
from skinlesion.data.metadata import METADATA_NAME
from skinlesion.errors import UserError
from skinlesion.evaluation.metrics import confusion_matrix
from skinlesion.evaluation.minimum_sizes import interval_warnings
from skinlesion.evaluation.registry import METRICS, SCHEMA, places_of, title_of
from skinlesion.numbers import count, figure, interval_note
from skinlesion.params import EvaluateParams
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

_NOTHING, _ANOTHER = "nothing", "another upload"
_NAMES = ("upload", "second upload")

_FORMS = f"""
- **CSV** (also gzip or bzip2), as `skinlesion score` reads it: `image_id`, `{PROBABILITY_COLUMNS[0]}` to
  `{PROBABILITY_COLUMNS[-1]}`, and `dx`, `lesion_id`, `fold`, `seed` where they are known; or the ISIC challenge's
  `image, MEL, NV, …`. Diagnoses and lesions that it lacks are taken from the truth: a metadata table with
  `image_id, dx, lesion_id`, or this workspace's.
- **.npy**: probabilities (N, 7), or answers (N,) as whole numbers, beside a `.npy` of the true classes (N,) as truth.
  The order of classes is {", ".join(CLASSES)}.

At most {MOST_BYTES // 1_000_000} MB each. An upload is kept in memory, and lies on the disk only while it is read.
"""


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Score")
    with st.expander("Which files can be read"):
        st.markdown(_FORMS)
    left, right = st.columns(2)
    file = left.file_uploader("Predictions (CSV or .npy)", ENDINGS, key="score_file")
    truth = right.file_uploader("Truth, where the predictions lack it", ENDINGS, key="score_truth")
    if file is None:
        st.info("Upload predictions of images whose diagnosis is known. Every figure of `skinlesion score` follows.")
        return
    upload = _read(results, file, truth)
    if upload is None:
        return
    values, notes = _summarised(upload, results.params.evaluate)
    with part(results, "Figures of the upload"):
        _figures(upload, values, notes)
    with part(results, "Compared with"):
        _comparison(results, upload, truth)


def _read(results: Results, file: Any, truth: Any) -> UploadedPredictions | None:
    """Return what an upload holds; say what is wrong with it, in one line, where it cannot be read."""
    table = results.workspace.prepared / METADATA_NAME
    try:
        return _cached(
            Upload(file.name, file.getvalue()), None if truth is None else Upload(truth.name, truth.getvalue()),
            table if table.is_file() else None, table.stat().st_mtime if table.is_file() else 0.0,
        )  # fmt: skip
    except UserError as error:
        st.error(str(error))
        return None


@st.cache_data(show_spinner="Reading", max_entries=4, hash_funcs={Upload: lambda upload: (upload.name, upload.content)})
def _cached(file: Upload, truth: Upload | None, metadata: Path | None, changed: float) -> UploadedPredictions:
    return read_upload(file, truth, metadata, MOST_BYTES)


def _summarised(upload: UploadedPredictions, settings: EvaluateParams) -> tuple[dict[str, float], dict[str, Any]]:
    """Return metrics and notes; of answers alone only what they decide: no AUC, no calibration."""
    values, notes = summarise(upload.predictions, settings)
    if upload.answers_only:
        names = {*SCHEMA.whole, *(f"{name}_{dx}" for name in SCHEMA.by_class for dx in CLASSES)}
        values = {
            name: value for name, value in values.items() if name.removesuffix("_low").removesuffix("_high") in names
        }
        for kind in ("without_interval", "approximate"):
            notes[kind] = {name: reason for name, reason in notes[kind].items() if name in names}
    return values, notes


def _figures(upload: UploadedPredictions, values: dict[str, float], notes: dict[str, Any]) -> None:
    cautions = interval_warnings(notes["without_interval"], notes["approximate"])
    for warning in (*upload.warnings, *cautions):
        st.caption(f"⚠️ {words.first_upper(warning)}.")
    st.caption(
        f"{count(notes['images'], 'image')} of {count(notes['lesions'], 'lesion')}; in brackets: "
        f"{interval_note(notes)}" + ("; of answers alone, without probabilities." if upload.answers_only else ".")
    )
    whole = [name for name, metric in METRICS.items() if not metric.per_class and name in values]
    left, right = st.columns([2, 3])
    with left:
        show_table(
            pd.DataFrame(
                [
                    {"Metric": words.first_upper(title_of(name)), "Value": figure(values, name, places_of(name))}
                    for name in whole
                ]
            )
        )
    tested = upload.predictions
    with right:
        counts = np.sum(
            [confusion_matrix(tested.labels, layer.argmax(axis=1)) for layer in tested.probabilities], axis=0
        )
        st.altair_chart(charts.confusion(counts, shares=True), width="stretch")
    table = class_table(values, np.bincount(tested.labels, minlength=len(CLASSES)))
    drawn = charts.melted(table.assign(code=list(CLASSES)), {name: name for name in ("F1", "Sensitivity")}, "code", "v")
    st.altair_chart(charts.grouped_bars(drawn, "code", "v", "series"), width="stretch")
    show_table(
        pd.DataFrame(
            [
                {
                    "Class": row["class"],
                    "Images": count(row["Images"]),
                    **{title: figure(values, f"{kind}_{dx}") for kind, title in COLUMNS.items() if title in row},
                }
                for dx, row in zip(CLASSES, table.to_dict("records"), strict=True)
            ]
        )
    )


def _comparison(results: Results, upload: UploadedPredictions, truth: Any) -> None:
    options = [_NOTHING, _ANOTHER, *results.evaluated()]
    chosen = str(st.selectbox("System", options, key="score_other"))
    if chosen == _NOTHING:
        return
    name, other = chosen, None
    if chosen == _ANOTHER:
        name = _NAMES[1]
        file = st.file_uploader("Predictions of the same images (CSV or .npy)", ENDINGS, key="score_second")
        second = None if file is None else _read(results, file, truth)
        other = None if second is None else second.predictions
    else:
        other = results.predictions(chosen)
    if other is None:
        return
    names = (name, _NAMES[0])
    rows = judged_rows(compare_two(names, other, upload.predictions, results.params.stats))
    shown = [row.model_dump() for row in rows if not upload.answers_only or row.metric in SCHEMA.whole]
    for row in shown[:1]:
        st.markdown(words.verdict_sentence(row, results.params.stats.confidence))
    show_differences(list(shown))
