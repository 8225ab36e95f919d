"""What a prediction is told with: what must be known before its classes, and what its figures mean, in words.

A row is one of `predict_photographs`.
"""

from collections.abc import Mapping
from typing import Any

from skinlesion.numbers import number, percent
from skinlesion.vocabulary import CLASS_NAMES, MALIGNANT, PROBABILITY_COLUMNS

SYNTHETIC = "trained on synthetic (drawn) images: no meaning for patients"

#: Names of sources of images as people write them.
_SOURCES = {
    "ham10000": "HAM10000",
    "isic_challenge": "ISIC Challenge data",
    "isic_archive": "ISIC Archive data",
    "pad_ufes_20": "PAD-UFES-20",
    "derm7pt": "Derm7pt",
    "folder": "a folder of images",
}


def warnings_of(row: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know before any class is named; the first matters most."""
    warnings = []
    if row["unlike_training"]:
        warnings.append(
            "UNLIKE THE TRAINING IMAGES (its nearest training images are farther away than for "
            f"{percent(row['unlike'] / 100, 1)} of the training images themselves): do not rely on the answer below"
        )
    if row["synthetic"]:
        warnings.append(SYNTHETIC)
    if row["sees"] != "image" and not row["record"]:
        warnings.append("the model expects age, sex and localization; none was given, so its answer is less reliable")
    return warnings


def answered_by(row: Mapping[str, Any]) -> str:
    """Return which model answered and why that one may have been chosen."""
    record_text = "age, sex or localization known" if row["record"] else "nothing known of the patient"
    return f"answered by {row['experiment']}, a model of {_article(row['sees'])}; {record_text}"


def _article(sees: str) -> str:
    return {"image": "the image alone", "record": "the record alone"}.get(sees, "image and record")


def ranked(row: Mapping[str, Any]) -> list[str]:
    """Return the classes, likeliest first."""
    return [name.removeprefix("p_") for name in sorted(PROBABILITY_COLUMNS, key=lambda name: -row[name])]


def answer_text(row: Mapping[str, Any]) -> str:
    """Return the answer with its probability: "mel (melanoma), 31.0%"."""
    answer = row["answer"]
    return f"{answer} ({CLASS_NAMES[answer]}), {percent(row[f'p_{answer}'], 1)}"


def remarks_of(row: Mapping[str, Any]) -> list[str]:
    """Return why the answer and the probabilities point to different things, where they do."""
    answer, likeliest = row["answer"], ranked(row)[0]
    remarks = []
    if answer != likeliest:
        remarks.append(
            f"{answer} is the answer with classes weighed as in training and evaluation; where they are as common as "
            f"in {source_name(row['trained_on'])}, {likeliest} is likelier"
        )
    malignant = answer in MALIGNANT
    if malignant and row["malignant"] < 0.5:
        remarks.append("the answer is malignant, though the benign classes together are likelier")
    if not malignant and row["malignant"] >= 0.5:
        remarks.append("the answer is benign, though the malignant classes together are likelier")
    return remarks


def risk_basis(row: Mapping[str, Any]) -> str:
    """Return the share of malignant images at which risks hold, or that they hold at none."""
    return prevalence_text(row["malignant_prevalence"], row["trained_on"])


def prevalence_text(prevalence: float | None, source: str) -> str:
    """Return the share of malignant images at which risks hold, as words that follow a risk."""
    if prevalence is None:
        return "not calibrated to any share of malignant images; models trained with balanced classes overstate it"
    return f"where {percent(prevalence, 1)} of images are, as in {source_name(source)}"


def source_name(source: str) -> str:
    """Return a source of images as people write it."""
    return _SOURCES.get(source, source)


def likeness_text(row: Mapping[str, Any]) -> str:
    """Return how far a photograph is from the training images, or that nobody looked."""
    if row["unlike"] is None:
        return "not compared with the training images"
    return (
        f"its nearest training images are farther away than for {number(row['unlike'], 0)}% of the training images "
        "themselves"
    )
