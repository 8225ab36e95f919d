"""Recalibration and calibration errors: identities, hand-computed tables, scikit-learn."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

from skinlesion.errors import UserError
from skinlesion.evaluation import reliability
from skinlesion.evaluation.metrics import metric_value
from skinlesion.evaluation.recalibration import METHODS, TemperatureScaling, fit_calibrator, restore_calibrator
from tests.simulated import simulated


def sharpened(predictions, power=2.0):
    raised = predictions.probabilities[0] ** power
    return raised / raised.sum(axis=1, keepdims=True)


def test_temperature_one_changes_nothing():
    p = simulated().probabilities[0]
    np.testing.assert_allclose(TemperatureScaling(1.0).apply(p), p, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.2, 0.7, 3.0, 15.0])
def test_a_temperature_keeps_every_rows_order(temperature):
    p = simulated().probabilities[0]
    scaled = TemperatureScaling(temperature).apply(p)
    np.testing.assert_array_equal(np.argsort(scaled, axis=1), np.argsort(p, axis=1))
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrator_undoes_what_was_done_to_the_probabilities(method):
    """Squared and renormalised probabilities are what a temperature of 2 undoes."""
    predictions = simulated(4000)
    wrong = sharpened(predictions)
    fitted = fit_calibrator(method, predictions.labels, wrong)
    recalibrated = fitted.apply(wrong)
    np.testing.assert_allclose(recalibrated.sum(axis=1), 1)
    # Isotonic steps can end in a probability of 0, which the log-loss punishes without measure.
    if method != "isotonic":
        assert log_loss(predictions.labels, recalibrated) < log_loss(predictions.labels, wrong) - 0.02
    assert (
        reliability.brier(predictions.labels, recalibrated).value
        < reliability.brier(predictions.labels, wrong).value - 0.005
    )
    np.testing.assert_allclose(restore_calibrator(fitted.state()).apply(wrong), recalibrated)


def test_the_temperature_found_is_the_one_that_was_applied():
    """A calibrated model's probabilities, squared, need a temperature of 2."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.full(7, 0.6), size=20_000)
    labels = np.array([rng.choice(7, p=row) for row in p])
    squared = p**2 / (p**2).sum(axis=1, keepdims=True)
    fitted = fit_calibrator("temperature", labels, squared)
    assert fitted.state()["temperature"] == pytest.approx(2, abs=0.05)


def test_vector_scaling_fits_no_worse_than_a_temperature_and_undoes_a_shifted_prevalence():
    predictions = simulated(4000)
    shifted = predictions.probabilities[0] * [8, 8, 8, 8, 8, 1, 8]
    shifted /= shifted.sum(axis=1, keepdims=True)
    nll = {
        method: log_loss(predictions.labels, fit_calibrator(method, predictions.labels, shifted).apply(shifted))
        for method in ("temperature", "vector")
    }
    assert nll["vector"] < nll["temperature"] - 0.01
    assert nll["vector"] <= log_loss(predictions.labels, predictions.probabilities[0]) + 1e-6
    recalibrated = fit_calibrator("vector", predictions.labels, shifted).apply(shifted)
    # At its optimum every class is predicted as often as it occurs: the gradient in the shifts is 0.
    np.testing.assert_allclose(
        recalibrated.mean(axis=0), np.bincount(predictions.labels) / len(predictions.labels), atol=1e-3
    )


def test_isotonic_scaling_is_scikit_learns_regression_brought_to_a_sum_of_one():
    predictions = simulated(500)
    p = predictions.probabilities[0]
    expected = np.stack(
        [
            IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
            .fit(p[:, place], predictions.labels == place)
            .predict(p[:, place])
            for place in range(7)
        ],
        axis=1,
    )
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fit_calibrator("isotonic", predictions.labels, p).apply(p), expected, atol=1e-9)


def test_an_unknown_method_lists_the_valid_ones():
    with pytest.raises(UserError, match="temperature, vector, isotonic"):
        fit_calibrator("platt", np.zeros(1, int), np.ones((1, 7)))


def test_equal_width_error_is_that_of_the_formula():
    """Guo et al. 2017, eq. 3, bin by bin."""
    predictions = simulated()
    p = predictions.probabilities[0]
    confidence, hit = reliability.top_label(predictions.labels, p)
    expected = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    error = reliability.calibration_error(confidence, hit, reliability.equal_width(confidence, 15), 15)
    assert error.value == pytest.approx(expected, abs=1e-12)
    assert metric_value("ece", predictions.labels, p) == pytest.approx(expected, abs=1e-12)


def test_confidence_one_falls_into_the_last_bin():
    assert reliability.equal_width(np.array([0.0, 0.1, 0.100001, 0.95, 1.0]), 10).tolist() == [0, 0, 1, 9, 9]
    certain = np.eye(7)[[0, 0, 1, 2]]
    confidence, hit = reliability.top_label(np.array([0, 1, 1, 2]), certain)
    error = reliability.calibration_error(confidence, hit, reliability.equal_width(confidence, 15), 15)
    assert error.value == pytest.approx(0.25)


def test_equal_mass_bins_hold_as_many_images_each():
    values = np.random.default_rng(0).random(1000)
    assert np.bincount(reliability.equal_mass(values, 10)).tolist() == [100] * 10
    tied = np.array([0.5] * 90 + [0.9] * 10)
    place = reliability.equal_mass(tied, 5)
    assert len(set(place[:90])) == 1
    assert place[0] != place[95]


def test_errors_by_hand():
    # Two bins: 0.6 predicted and 0.75 observed among four, 0.9 predicted and 0.5 observed among two.
    confidence = np.array([0.6, 0.6, 0.6, 0.6, 0.9, 0.9])
    hit = np.array([1, 1, 1, 0, 1, 0], dtype=bool)
    place = np.array([0, 0, 0, 0, 1, 1])
    assert reliability.calibration_error(confidence, hit, place, 2).value == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)


def test_the_parts_of_the_brier_score_add_up_to_it():
    predictions = simulated(600)
    p = sharpened(predictions)
    parts = {name: part.value for name, part in reliability.brier_parts(predictions.labels, p, 15).items()}
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bins"]
    assert total == pytest.approx(brier_score_loss(predictions.labels, p, scale_by_half=False), abs=1e-12)
    share = np.bincount(predictions.labels) / len(predictions.labels)
    assert parts["uncertainty"] == pytest.approx((share * (1 - share)).sum())
    assert parts["reliability"] > 0
    assert parts["resolution"] > 0


def test_with_one_forecast_a_bin_nothing_is_left_within_bins():
    p = np.zeros((10, 7))
    p[:5, 0], p[:5, 1] = 0.8, 0.2
    p[5:, 0], p[5:, 1] = 0.3, 0.7
    labels = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 1])
    parts = {name: part.value for name, part in reliability.brier_parts(labels, p, 10).items()}
    # Murphy by hand: forecasts 0.8 and 0.3 with 0.8 and 0.2 seen; base rate 0.5; twice, for the two classes.
    assert parts["reliability"] == pytest.approx(2 * 0.5 * 0.1**2)
    assert parts["resolution"] == pytest.approx(2 * 0.3**2)
    assert parts["uncertainty"] == pytest.approx(2 * 0.25)
    assert parts["within_bins"] == pytest.approx(0, abs=1e-12)


def test_a_perfect_and_a_constant_classifier():
    predictions = simulated()
    truth = np.eye(7)[predictions.labels]
    assert reliability.classwise_error(predictions.labels, truth, 15).value == 0
    assert reliability.brier(predictions.labels, truth).value == 0
    share = np.bincount(predictions.labels) / len(predictions.labels)
    constant = np.tile(share, (len(predictions.labels), 1))
    parts = reliability.brier_parts(predictions.labels, constant, 15)
    assert parts["reliability"].value == pytest.approx(0, abs=1e-12)
    assert parts["resolution"].value == pytest.approx(0, abs=1e-12)
    assert reliability.classwise_error(predictions.labels, constant, 15).value == pytest.approx(0, abs=1e-12)
    assert reliability.observed_to_expected(predictions.labels == 4, constant[:, 4]).value == pytest.approx(1)
