"""The Predict page: an uploaded photograph, its probabilities, where the model looks, and similar images."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from skinlesion.dashboard.shared import open_results
from skinlesion.data.decode import decode
from skinlesion.data.patient_records import PatientRecord
from skinlesion.errors import UserError
from skinlesion.numbers import number, percent
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASS_NAMES, CLASSES, LOCALIZATIONS, SEXES, UNKNOWN

#: Largest upload, in bytes; the server refuses larger ones too.
MOST_BYTES = 20_000_000
_SIMILAR = 6


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Predict")
    trained = [name for name in results.params.experiments if results.workspace.model(name).is_dir()]
    if not trained:
        st.info("No trained models here: run `dvc repro`.")
        return
    try:
        best = results.choose_experiment(metadata=True)
    except UserError:
        best = trained[0]
    name = st.selectbox("Experiment", trained, index=trained.index(best) if best in trained else 0, key="predict_name")
    left, middle, right = st.columns(3)
    age = left.number_input("Age in years (empty: unknown)", 0, 120, value=None, key="predict_age")
    sex = middle.selectbox("Sex", [UNKNOWN, *SEXES], key="predict_sex")
    site = right.selectbox("Localization", [UNKNOWN, *LOCALIZATIONS], key="predict_site")
    upload = st.file_uploader("Photograph (kept in memory only)", ["jpg", "jpeg", "png"], key="predict_file")
    if upload is None:
        st.info("Upload a dermoscopic photograph.")
        return
    pixels = _pixels(upload.getvalue(), results)
    if pixels is None:
        return
    predictor = _predictor(results, str(name))
    table = pd.DataFrame([PatientRecord(None if age is None else float(age), sex, site).row()])
    answers = predictor.answer(pixels[None], table)
    picture, figures = st.columns([1, 2])
    picture.image(pixels, caption="as the model sees it")
    p = answers.probabilities[0]
    likeliest = CLASSES[int(p.argmax())]
    with figures:
        st.subheader(f"{likeliest}, {CLASS_NAMES[likeliest]}: {percent(p.max(), 1)}")
        st.bar_chart(pd.DataFrame({"probability": p}, index=list(CLASSES)), horizontal=True)
        st.metric("Malignant (akiec, bcc, mel)", percent(answers.malignant[0], 1))
        _meaning(answers, str(name))
    _looks(results, str(name), pixels, table)
    _similar(predictor, results, pixels)


def _pixels(data: bytes, results: Results) -> np.ndarray | None:
    if len(data) > MOST_BYTES:
        st.error(f"Larger than {number(MOST_BYTES / 1e6, 0)} MB.")
        return None
    try:
        return decode(data, results.params.prepare).pixels
    except (OSError, ValueError) as error:
        st.error(f"Not a readable photograph: {error}")
        return None


@st.cache_resource(show_spinner="Loading models", max_entries=2)
def _open(path: str, name: str, changed: float) -> Any:
    from pathlib import Path

    from skinlesion.experiment.predictor import Predictor

    results = open_results(Path(path))
    return Predictor.open(results.params, results.workspace, name)


@st.cache_resource(show_spinner="Loading a model", max_entries=2)
def _look(path: str, name: str, changed: float) -> Any:
    from pathlib import Path

    from skinlesion.experiment.explanation import ExplainedRun

    results = open_results(Path(path))
    fold = results.params.experiment(name).folds[0]
    return ExplainedRun.open(results.params, results.workspace, name, fold, any_version=True)


def _predictor(results: Results, name: str) -> Any:
    folder = results.workspace.model(name)
    return _open(str(results.workspace.root / "params.yaml"), name, folder.stat().st_mtime)


def _meaning(answers: Any, name: str) -> None:
    if answers.sets is None:
        st.info(f"Not calibrated; run `skinlesion assess {name}` for sets and thresholds.")
        return
    open_ = [CLASSES[place] for place in np.flatnonzero(answers.sets[0])]
    st.write(f"Cannot be ruled out: **{', '.join(open_) or 'none of the seven fits well'}**")
    for rule, called in answers.calls.items():
        st.write(
            f"{'Above' if called[0] else 'Below'} the threshold that had {rule} for malignancy on validation images."
        )


def _looks(results: Results, name: str, pixels: np.ndarray, table: pd.DataFrame) -> None:
    from skinlesion.interpret.overlays import photograph_with_map

    if results.params.experiment(name).fusion == "metadata_only":
        return
    with st.expander("Where the model of one fold looks (Grad-CAM)"):
        folder = results.workspace.model(name)
        run = _look(str(results.workspace.root / "params.yaml"), name, folder.stat().st_mtime)
        st.image(photograph_with_map(pixels, run.map_photographs(pixels[None], table).maps[0]))


def _similar(predictor: Any, results: Results, pixels: np.ndarray) -> None:
    with st.expander("Similar training images"):
        neighbours = predictor.neighbours()
        if neighbours is None:
            st.info("No prepared images here, or a model without image.")
            return
        features = predictor.pooled(pixels[None])
        rows, cosines = neighbours.nearest(features, _SIMILAR)
        st.write(
            f"Farther from the prepared images than {percent(neighbours.percentile(features)[0] / 100)} of them are."
        )
        table = results.metadata
        for column, row, cosine in zip(st.columns(_SIMILAR), rows[0], cosines[0], strict=True):
            image_id = str(table["image_id"].iloc[row])
            column.image(
                results.photograph(image_id), caption=f"{image_id}: {table['dx'].iloc[row]}, {number(cosine, 2)}"
            )
