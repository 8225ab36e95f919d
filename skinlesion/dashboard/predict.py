"""The Predict page: an uploaded photograph, its likeliest diagnoses, where the model looks, and similar images."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from skinlesion.dashboard import address, charts, diagnoses
from skinlesion.dashboard.shared import MOST_BYTES, open_results
from skinlesion.dashboard.words import class_title, first_upper
from skinlesion.data.decode import decode
from skinlesion.data.patient_records import PatientRecord
from skinlesion.errors import UserError
from skinlesion.numbers import number, percent
from skinlesion.report import prediction_words as words
from skinlesion.results.reader import Results
from skinlesion.vocabulary import LOCALIZATIONS, SEXES, UNKNOWN

_SIMILAR, _TOP = 6, 3

#: The entry that leaves the choice of a model to what is known of the patient.
AUTOMATIC = "the best for what is known of the patient"


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Predict")
    trained = [name for name in results.params.experiments if results.workspace.model(name).is_dir()]
    if not trained:
        st.info("No trained models here: run `dvc repro`.")
        return
    wanted = _choose(trained)
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
    record = PatientRecord(None if age is None else float(age), sex, site)
    name = _best(results, trained, record) if wanted == AUTOMATIC else str(wanted)
    model = _model(results, name)
    table = pd.DataFrame([record.row()])
    row = model.rows([pixels], table)[0]
    for warning in words.warnings_of(row):
        st.error(first_upper(warning))
    if row["unlike"] is None:
        st.warning(f"{first_upper(words.likeness_text(row))}: below, the section on similar images says why")
    picture, figures = st.columns([1, 2])
    picture.image(pixels, caption="As the model sees it")
    with figures:
        st.caption(f"{first_upper(words.answered_by(row))}; {words.likeness_text(row)}.")
        st.subheader(words.answer_text(row))
        st.markdown(
            f"Level of risk of this answer: {diagnoses.risk_badge(row['answer'])} (high: melanoma and basal cell "
            "carcinoma; moderate: actinic keratosis; low: the others)"
        )
        _likeliest(row)
        st.altair_chart(_chart(row), width="stretch")
        st.metric("Malignant (akiec, bcc, mel)", percent(row["malignant"], 1))
        st.caption(f"{first_upper(words.risk_basis(row))}; a clinic's share differs, and so does the risk there.")
        for remark in words.remarks_of(row):
            st.warning(f"{first_upper(remark)}.")
        _meaning(row)
    _looks(results, name, pixels, table)
    _similar(model, results, pixels)


def _choose(trained: list[str]) -> str:
    """Show the list of models; the address names one only where one was chosen."""
    options = [AUTOMATIC, *trained]
    if address.arrived():
        wanted = st.query_params.get("experiment", AUTOMATIC)
        st.session_state["predict_name"] = wanted if wanted in options else AUTOMATIC
    wanted = str(st.selectbox("Experiment", options, key="predict_name"))
    if wanted != AUTOMATIC:
        address.keep("experiment", wanted)
    return wanted


def _best(results: Results, trained: list[str], record: PatientRecord) -> str:
    """Return the best experiment for what is known of the patient, among those that were trained here."""
    try:
        best = results.choose_experiment(metadata=not record.empty)
    except UserError:  # none was evaluated
        return trained[0]
    return best if best in trained else trained[0]


def _likeliest(row: dict[str, Any]) -> None:
    """Show the likeliest diagnoses, each with a text on what it is."""
    for place, dx in enumerate(words.ranked(row)[:_TOP], start=1):
        with st.expander(f"{place}. {class_title(dx)}: {percent(row[f'p_{dx}'], 1)}"):
            st.markdown(f"{diagnoses.TEXTS[dx]}  \nLevel of risk: {diagnoses.risk_badge(dx)}")


def _chart(row: dict[str, Any]) -> Any:
    """Return bars of all classes, likeliest first; their axis is 0 to 1, so that a small probability looks small."""
    ranked = words.ranked(row)
    table = pd.DataFrame({
        "class": [class_title(dx) for dx in ranked],
        "probability": [row[f"p_{dx}"] for dx in ranked],
    })  # fmt: skip
    return charts.bars(table, "class", "probability", domain=(0, 1))


def _pixels(data: bytes, results: Results) -> np.ndarray | None:
    if len(data) > MOST_BYTES:
        st.error(f"Larger than {number(MOST_BYTES / 1e6, 0)} MB.")
        return None
    try:
        return decode(data, results.params.prepare).pixels
    except (OSError, ValueError) as error:
        st.error(f"Not a readable photograph: {error}")
        return None


@st.cache_resource(show_spinner="Loading models and training images", max_entries=2)
def _open(path: str, name: str, changed: float) -> Any:
    """Return an experiment's models with the training images, where these cost little to look at."""
    from pathlib import Path

    from skinlesion.experiment.answering import MOST_SECONDS, AnsweringModel
    from skinlesion.experiment.predictor import Predictor

    results = open_results(Path(path))
    predictor = Predictor.open(results.params, results.workspace, name)
    try:
        seconds = predictor.seconds_for_neighbours()
        neighbours = None if seconds is None or seconds > MOST_SECONDS else predictor.neighbours()
    except (UserError, OSError):  # the page says that the photograph was not compared
        neighbours = None
    return AnsweringModel(name, predictor, neighbours)


@st.cache_resource(show_spinner="Loading a model", max_entries=2)
def _look(path: str, name: str, changed: float) -> Any:
    from pathlib import Path

    from skinlesion.experiment.explanation import ExplainedRun

    results = open_results(Path(path))
    fold = results.params.experiment(name).folds[0]
    return ExplainedRun.open(results.params, results.workspace, name, fold, any_version=True)


def _model(results: Results, name: str) -> Any:
    folder = results.workspace.model(name)
    return _open(str(results.workspace.params_file), name, folder.stat().st_mtime)


def _meaning(row: dict[str, Any]) -> None:
    if row["set"] is None:
        st.info(f"No sets and thresholds; run `skinlesion assess {row['experiment']}`.")
        return
    st.write(f"Cannot be ruled out: **{', '.join(row['set']) or 'none of the seven fits well'}**")
    for rule, called in row["called"].items():
        st.write(f"{'Above' if called else 'Below'} the threshold that had {rule} for malignancy on validation images.")


def _looks(results: Results, name: str, pixels: np.ndarray, table: pd.DataFrame) -> None:
    from skinlesion.interpret.overlays import photograph_with_map

    if results.params.experiment(name).fusion == "metadata_only":
        return
    with st.expander("Where the model of one fold looks (Grad-CAM)"):
        folder = results.workspace.model(name)
        run = _look(str(results.workspace.params_file), name, folder.stat().st_mtime)
        square = run.trained.inputs.squares([pixels])
        st.image(photograph_with_map(square[0], run.map_photographs(square, table).maps[0]))


def _similar(model: Any, results: Results, pixels: np.ndarray) -> None:
    with st.expander("Similar training images"):
        if model.neighbours is None:
            st.info(
                "Not compared: no prepared images here, a model without image, or features that take minutes to "
                f"compute, which `skinlesion predict --experiment {model.name} --unlike` does once."
            )
            return
        rows, cosines = model.neighbours.nearest(
            model.predictor.pooled(model.predictor.inputs.squares([pixels])), _SIMILAR
        )
        table = results.metadata
        for column, row, cosine in zip(st.columns(_SIMILAR), rows[0], cosines[0], strict=True):
            image_id = str(table["image_id"].iloc[row])
            column.image(
                results.photograph(image_id), caption=f"{image_id}: {table['dx'].iloc[row]}, {number(cosine, 2)}"
            )
