"""Which experiments are shown in detail: ranked on validation, by kind, most folds first."""

import numpy as np
import pytest

from skinlesion.evaluation.predictions import ABSENT, Predictions
from skinlesion.params_file import load_params
from skinlesion.results.selection import best_of_each_kind, mean_balanced_accuracy, twin_of
from tests.conftest import small_params, write_params


@pytest.fixture
def params(tmp_path):
    experiments = {
        "image": {},
        "image_long": {"epochs": 5, "folds": [0, 1]},
        "leaky": {"protocol": "image"},
        "concat": {"fusion": "concat"},
        "film": {"fusion": "film"},
        "metadata_only": {"fusion": "metadata_only"},
        "placebo": {"fusion": "concat", "records": "permuted"},
        "injected": {"injected": 2},
    }
    return load_params(write_params(tmp_path, small_params(experiments=experiments)))


def test_the_best_of_each_kind_is_honest_sees_the_image_and_ran_on_most_folds(params):
    validation_scores = {"image": 0.9, "image_long": 0.5, "concat": 0.6, "film": 0.7}
    assert best_of_each_kind(params, params.experiments, validation_scores.__getitem__) == {
        "image only": "image_long",
        "multimodal": "film",
    }
    assert best_of_each_kind(
        params, ["leaky", "metadata_only", "concat", "placebo", "injected"], validation_scores.__getitem__
    ) == {"multimodal": "concat"}


def test_balanced_accuracy_is_over_the_classes_present_then_over_seeds():
    labels = np.array([5, 5, 5, 4])  # three nv, one mel
    all_nv, one_wrong = np.eye(7)[[5, 5, 5, 5]], np.eye(7)[[5, 5, 4, 4]]
    ids = np.array(list("abcd"))
    predictions = Predictions(
        ids, ids, labels, np.zeros((2, 4), dtype=int), (0, 1), (0, 0), np.stack([all_nv, one_wrong])
    )
    # Seed 0: (3/3 + 0/1) / 2 = 1/2; seed 1: (2/3 + 1/1) / 2 = 5/6.
    assert mean_balanced_accuracy(predictions) == pytest.approx((1 / 2 + 5 / 6) / 2)


def test_a_layer_is_judged_on_the_images_that_it_holds():
    """Validation parts of another partition are other images."""
    labels, ids = np.array([5, 5, 4, 4]), np.array(list("abcd"))
    folds = np.array([[0, 0, 1, ABSENT], [ABSENT, 1, 0, 0]])
    layers = np.stack([np.eye(7)[[5, 4, 4, 0]], np.eye(7)[[0, 5, 5, 4]]])
    layers[folds == ABSENT] = np.nan
    predictions = Predictions(ids, ids, labels, folds, (0, 0), (0, 1), layers)
    # Repeat 0: (1/2 + 1/1) / 2; repeat 1: (1/1 + 1/2) / 2.
    assert mean_balanced_accuracy(predictions) == pytest.approx(3 / 4)


def test_the_twin_of_a_placebo_is_the_image_and_of_an_injection_that_of_its_dose(tmp_path):
    experiments = {
        "image": {}, "placebo": {"fusion": "concat", "records": "permuted"},
        "image1": {"injected": 1, "select": "last"}, "image2": {"injected": 2, "select": "last"},
        "concat2": {"fusion": "concat", "injected": 2, "select": "last"}, "more": {"repeats": [1]},
    }  # fmt: skip
    params = load_params(write_params(tmp_path, small_params(split={"repeats": 2}, experiments=experiments, claims=[])))
    assert twin_of(params, "placebo") == "image"
    assert twin_of(params, "concat2") == "image2"
    assert twin_of(params, "more") == "image"
