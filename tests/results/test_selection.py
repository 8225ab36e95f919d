"""Which experiments are shown in detail: ranked on validation, by kind, most folds first."""

import numpy as np
import pytest

from skinlesion.evaluation.predictions import Predictions
from skinlesion.params_file import load_params
from skinlesion.results.selection import best_of_each_kind, mean_balanced_accuracy
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
    }
    return load_params(write_params(tmp_path, small_params(experiments=experiments)))


def test_the_best_of_each_kind_is_honest_sees_the_image_and_ran_on_most_folds(params):
    asked = {"image": 0.9, "image_long": 0.5, "concat": 0.6, "film": 0.7}
    assert best_of_each_kind(params, params.experiments, asked.__getitem__) == {
        "image only": "image_long",
        "multimodal": "film",
    }
    assert best_of_each_kind(params, ["leaky", "metadata_only", "concat"], asked.__getitem__) == {
        "multimodal": "concat"
    }


def test_balanced_accuracy_is_over_the_classes_present_then_over_seeds():
    labels = np.array([5, 5, 5, 4])  # three nv, one mel
    all_nv, one_wrong = np.eye(7)[[5, 5, 5, 5]], np.eye(7)[[5, 5, 4, 4]]
    ids = np.array(list("abcd"))
    predictions = Predictions(ids, ids, labels, np.zeros(4, dtype=int), (0, 1), np.stack([all_nv, one_wrong]))
    # Seed 0: (3/3 + 0/1) / 2 = 1/2; seed 1: (2/3 + 1/1) / 2 = 5/6.
    assert mean_balanced_accuracy(predictions) == pytest.approx((1 / 2 + 5 / 6) / 2)
