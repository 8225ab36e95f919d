"""The words of a prediction: what comes before the classes, and where answer and probabilities differ."""

import pytest

from skinlesion.report.prediction_words import (
    answered_by,
    likeness_text,
    prevalence_text,
    remarks_of,
    warnings_of,
)
from skinlesion.vocabulary import CLASSES

MALIGNANT = {"akiec", "bcc", "mel"}


def row(answer="nv", probabilities=None, **changes):
    """Return a row with these class probabilities and the rest shared equally by the other classes."""
    probabilities = probabilities or {"nv": 0.9}
    rest = (1 - sum(probabilities.values())) / (7 - len(probabilities))
    p = {name: probabilities.get(name, rest) for name in CLASSES}
    content = {
        "file": "a.png", "experiment": "image", "sees": "image", "record": False, "trained_on": "ham10000",
        "synthetic": False, "unlike": 50.0, "unlike_training": False, "answer": answer,
        **{f"p_{name}": value for name, value in p.items()},
        "malignant": sum(p[name] for name in MALIGNANT), "malignant_prevalence": 0.195, "set": None, "called": {},
    }  # fmt: skip
    return content | changes


def test_an_ordinary_photograph_has_no_warning_and_no_remark():
    assert warnings_of(row()) == []
    assert remarks_of(row()) == []


def test_the_warning_that_matters_most_comes_first():
    warnings = warnings_of(row(unlike=99.9, unlike_training=True, synthetic=True, sees="image and record"))
    assert warnings[0].startswith(
        "UNLIKE THE TRAINING IMAGES (its nearest training images are farther away than for 99.9% of"
    )
    assert warnings[1] == "trained on synthetic (drawn) images: no meaning for patients"
    assert "none was given" in warnings[2]


@pytest.mark.parametrize(
    ("answer", "probabilities", "expected"),
    [
        ("nv", {"nv": 0.6, "mel": 0.3}, ()),
        ("mel", {"nv": 0.1, "mel": 0.8}, ()),
        ("mel", {"nv": 0.5, "mel": 0.2}, ("in HAM10000, nv is likelier", "the answer is malignant, though")),
        # The likeliest class, and yet less likely than the four benign ones together.
        ("mel", {"mel": 0.35, "nv": 0.3, "bkl": 0.3}, ("the answer is malignant, though",)),
        ("nv", {"nv": 0.4, "mel": 0.3, "bcc": 0.3}, ("the answer is benign, though",)),
        ("bkl", {"bkl": 0.2, "mel": 0.7}, ("mel is likelier", "the answer is benign, though")),
        ("mel", {"mel": 0.3, "bcc": 0.6}, ("bcc is likelier",)),
    ],
)
def test_a_contradiction_between_answer_and_risk_has_a_remark(answer, probabilities, expected):
    remarks = remarks_of(row(answer, probabilities))
    assert len(remarks) == len(expected)
    for remark, words in zip(remarks, expected, strict=True):
        assert words in remark


def test_the_prevalence_that_a_risk_is_calibrated_to_is_stated():
    assert prevalence_text(0.1951, "ham10000") == "where 19.5% of images are, as in HAM10000"
    assert prevalence_text(None, "ham10000").startswith("not calibrated to any share of malignant images")


def test_the_model_and_the_distance_from_the_training_images_are_stated():
    assert answered_by(row()) == "answered by image, a model of the image alone; nothing known of the patient"
    with_record = row(experiment="concat", sees="image and record", record=True)
    assert answered_by(with_record) == "answered by concat, a model of image and record; age, sex or localization known"
    assert likeness_text(row(unlike=None)) == "not compared with the training images"
    assert likeness_text(row(unlike=12.3)).startswith(
        "its nearest training images are farther away than for 12% of the"
    )
