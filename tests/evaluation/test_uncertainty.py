"""Entropy, mutual information, selective prediction."""

import numpy as np
import pytest

from skinlesion.evaluation.uncertainty import mutual_information, predictive_entropy, select


def test_entropy_at_its_ends():
    np.testing.assert_allclose(predictive_entropy(np.array([[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])), [0, np.log(4)])


def test_trainings_that_agree_share_no_information_and_certain_opposites_share_all():
    equal = np.tile([[0.7, 0.3]], (3, 1, 1))
    opposite = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(mutual_information(equal), [0], atol=1e-15)
    np.testing.assert_allclose(mutual_information(opposite), [np.log(2)])


def test_the_risk_coverage_curve_by_hand():
    correct = np.array([True, False, True, True])
    certainty = np.array([0.9, 0.8, 0.7, 0.6])
    selected = select(correct, certainty)
    coverage, risk = selected.curve()
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3, 1 / 4])
    figures = selected.figures((0.5, 0.8))(np.ones((4, 1)))[0]
    np.testing.assert_allclose(figures, [np.mean([0, 1 / 2, 1 / 3, 1 / 4]), 1 / 2, 3 / 4])


def test_a_weight_is_as_many_copies():
    rng = np.random.default_rng(0)
    correct, certainty = rng.random(50) < 0.7, rng.random(50)
    weights = rng.integers(0, 3, (50, 4))
    weighted = select(correct, certainty).figures((0.8,))(weights)
    for column in range(4):
        rows = np.repeat(np.arange(50), weights[:, column])
        repeated = select(correct[rows], certainty[rows]).figures((0.8,))(np.ones((len(rows), 1)))[0]
        # Copies of one image enter together here and one after the other there: equal but for that.
        assert weighted[column] == pytest.approx(repeated, abs=0.02)


def test_uncertainty_at_the_errors_gives_a_lower_risk():
    correct = np.arange(100) < 80
    errors_last, errors_first = select(correct, -np.arange(100.0)), select(correct, np.arange(100.0))
    unit_weights = np.ones((100, 1))
    assert errors_last.figures((0.8,))(unit_weights)[0, 1] == 1
    images = np.arange(1, 101)
    # Errors last: none among the first 80, then one more with each image; errors first: 20 among the first 20.
    assert errors_last.figures(())(unit_weights)[0, 0] == pytest.approx(np.mean(np.maximum(images - 80, 0) / images))
    assert errors_first.figures(())(unit_weights)[0, 0] == pytest.approx(np.mean(np.minimum(images, 20) / images))
