"""Calibration to the prevalence of the data: a model of equally common classes is scaled back to the true shares."""

import numpy as np
import pytest
from scipy.special import softmax

from skinlesion.evaluation.decisions import cases_of, risk_of
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.prevalence import calibrate_to_prevalence
from skinlesion.evaluation.recalibration import fit_calibrator

#: Shares of classes as in HAM10000, in the order of CLASSES.
PRIOR = np.array([327, 514, 1099, 115, 1113, 6705, 142]) / 10015


def drawn(images, seed, seeds=(0,)):
    """Predictions of a Bayes classifier that takes the classes as equally common, where PRIOR holds.

    An image of class c has unit normal noise in seven coordinates and a mean of 1.5 in coordinate c. Its log likelihood
    under class k is 1.5 × coordinate k up to a constant, and the true posterior adds log PRIOR.
    """
    rng = np.random.default_rng(seed)
    labels = rng.choice(7, images, p=PRIOR)
    layers = [softmax(1.5 * (rng.normal(size=(images, 7)) + 1.5 * np.eye(7)[labels]), axis=1) for _ in seeds]
    ids = np.array([f"i{place:05d}" for place in range(images)])
    folds = np.zeros((len(seeds), images), dtype=int)
    return Predictions(ids, ids, labels, folds, tuple(seeds), (0,) * len(seeds), np.stack(layers))


def observed_to_expected(predictions, probabilities):
    return cases_of("malignant", predictions.labels).sum() / risk_of("malignant", probabilities).sum()


def test_the_shifts_are_the_logarithms_of_the_true_shares():
    """By Bayes' theorem posterior ∝ likelihood × prior: scales of 1, and shifts of log PRIOR up to a constant."""
    fitted = calibrate_to_prevalence(drawn(60_000, 0)).calibrator
    np.testing.assert_allclose(fitted.scale, 1, atol=0.08)
    expected = np.log(PRIOR)
    np.testing.assert_allclose(fitted.shift - fitted.shift.mean(), expected - expected.mean(), atol=0.2)


def test_risks_of_new_images_are_right_where_one_temperature_leaves_them_overstated():
    validation, new = drawn(5_000, 1), drawn(20_000, 2)
    fitted = calibrate_to_prevalence(validation)
    assert fitted.malignant == pytest.approx(cases_of("malignant", validation.labels).mean())
    temperature = fit_calibrator("temperature", validation.labels, validation.probabilities[0])
    assert observed_to_expected(new, temperature.apply(new.probabilities[0])) < 0.75
    assert observed_to_expected(new, fitted.apply(new.probabilities)[0]) == pytest.approx(1, abs=0.05)


def test_neither_the_order_of_images_nor_that_of_seeds_matters():
    predictions = drawn(400, 3, seeds=(0, 1))
    order = np.random.default_rng(0).permutation(400)
    permuted = Predictions(
        predictions.image_ids[order], predictions.lesions[order], predictions.labels[order],
        predictions.folds[:, order], (1, 0), (0, 0), predictions.probabilities[::-1, order],
    )  # fmt: skip
    first, second = calibrate_to_prevalence(predictions), calibrate_to_prevalence(permuted)
    layers = predictions.probabilities[:, :20]
    np.testing.assert_allclose(first.apply(layers), second.apply(layers), atol=1e-4)


def test_a_class_that_validation_lacks_stays_possible():
    """Without the added image its shift went to the bound of −20: no melanoma could ever be likely."""
    whole = drawn(300, 4)
    rows = np.flatnonzero(whole.labels != 4)
    lacking = Predictions(
        whole.image_ids[rows], whole.lesions[rows], whole.labels[rows], whole.folds[:, rows], (0,), (0,),
        whole.probabilities[:, rows],
    )  # fmt: skip
    certain = np.full((1, 1, 7), 0.001)
    certain[..., 4] = 0.994
    assert calibrate_to_prevalence(lacking).apply(certain)[0, 0, 4] > 0.3
    plain = fit_calibrator("vector", lacking.labels, lacking.probabilities[0])
    assert plain.apply(certain[0])[0, 4] < 0.01
