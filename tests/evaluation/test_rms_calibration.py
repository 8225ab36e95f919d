"""The debiased calibration error of lesions: by hand, by pairs, by Monte Carlo; its interval holds it and covers."""

import numpy as np
import pytest
from scipy.stats import chi2

from skinlesion.evaluation.reliability import equal_mass
from skinlesion.evaluation.rms_calibration import RmsCalibrationError, rms_calibration_error


def drawn(lesions=400, *, seed=0, slope=1.0, shift=0.0, trainings=1):
    """Return stated probabilities and outcomes (S, N) and lesions; calibrated where slope is 1 and shift 0."""
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), rng.choice([1, 2, 3], lesions, p=[0.6, 0.3, 0.1]))
    probability = rng.uniform(0.2, 0.98, lesions)[lesion]
    common = rng.random(lesions)[lesion]
    confidence, hits = [], []
    for _ in range(trainings):
        # Half of the lesions' images come true together.
        uniforms = np.where(rng.random(lesions)[lesion] < 0.5, common, rng.random(len(lesion)))
        odds = slope * np.log(probability / (1 - probability)) + shift
        confidence.append(1 / (1 + np.exp(-odds)))
        hits.append(uniforms < probability)
    return np.array(confidence), np.array(hits), lesion


def test_by_hand():
    # Lesions A (two images), B, C, D, all in one bin: residuals −0.2 (0.4 − 0.6), 0.4, 0.4, 0.4; n = 5, Σ z = 1.
    confidence = np.full((1, 5), 0.6)
    hit = np.array([1, 0, 1, 1, 1], dtype=bool)
    error = rms_calibration_error(confidence, hit, np.array([0, 0, 1, 2, 3]), 15)
    assert error.bins == 1
    assert error.squared == pytest.approx((1 - 0.52) / (25 - 7))
    assert error.value == pytest.approx(np.sqrt(0.48 / 18))
    # Gap 0.2; residuals without their lesion −0.6 / 0.6 and 0.2 / 0.8 (three times), over n.
    noise = (1 + 3 * 0.25**2) / 25
    assert error.variance == pytest.approx(2 * noise**2)
    assert error.third == pytest.approx(8 * noise**3)
    assert error.variance_slope == pytest.approx(4 * noise)
    # With one bin the estimate is noise · (χ² of 1 degree − 1).
    assert error.pvalue == pytest.approx(chi2.sf(1 + error.squared / noise, 1))


def test_the_square_is_the_mean_product_of_residuals_of_different_lesions():
    confidences, hits, lesion = drawn(60, seed=3, trainings=2)
    by_training = []
    for confidence, hit in zip(confidences, hits, strict=True):
        place, total = equal_mass(confidence, 3), 0.0
        for number in range(3):
            rows = np.flatnonzero(place == number)
            products = [
                (hit[i] - confidence[i]) * (hit[j] - confidence[j])
                for i in rows
                for j in rows
                if lesion[i] != lesion[j]
            ]
            total += len(rows) / len(hit) * np.mean(products)
        by_training.append(total)
    error = rms_calibration_error(confidences, hits, lesion, 3)
    assert error.bins == 3
    assert error.squared == pytest.approx(np.mean(by_training), abs=1e-12)


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (1.2, 0.3)])
def test_the_p_value_is_that_of_a_weighted_sum_of_chi_squares(slope, shift):
    """By 400,000 draws of the sum, from gaps and their covariance computed here, lesion by lesion."""
    confidence, hits, lesion = drawn(300, seed=4, slope=slope, shift=shift)
    place, total = equal_mass(confidence[0], 5), len(lesion)
    covariance = np.zeros((5, 5))
    in_bin = np.bincount(place, minlength=5)
    gap = np.bincount(place, hits[0] - confidence[0], 5) / in_bin
    for number in range(300):
        rows = lesion == number
        images = np.bincount(place[rows], minlength=5)
        residual = np.bincount(place[rows], (hits[0] - confidence[0])[rows] - gap[place[rows]], 5)
        share = residual / (1 - images / in_bin) / np.sqrt(total * in_bin)
        covariance += np.outer(share, share)
    rng = np.random.default_rng(0)
    sums = (rng.multivariate_normal(np.zeros(5), covariance, 400_000) ** 2).sum(axis=1)
    error = rms_calibration_error(confidence, hits, lesion, 5)
    expected = (sums - np.trace(covariance) >= error.squared).mean()
    assert error.pvalue == pytest.approx(expected, abs=0.003)


@pytest.mark.parametrize(("slope", "shift", "lowest", "highest"), [(1.0, 0.0, 0.925, 0.98), (1.4, 0.4, 0.925, 0.98)])
def test_the_interval_covers(slope, shift, lowest, highest):
    probability = np.linspace(0.2, 0.98, 200_001)
    confidence = 1 / (1 + np.exp(-slope * np.log(probability / (1 - probability)) - shift))
    place = equal_mass(confidence, 10)
    error = np.sqrt(np.mean((np.bincount(place, confidence - probability) / np.bincount(place)) ** 2))
    covered = []
    for seed in range(250):
        low, high = rms_calibration_error(*drawn(300, seed=seed, slope=slope, shift=shift), 10).confidence_interval()
        covered.append(low <= error + 1e-9 and error <= high)
    assert lowest <= np.mean(covered) <= highest


def test_an_interval_holds_its_own_value_and_leaves_out_0_just_where_the_test_rejects():
    rng = np.random.default_rng(5)
    rejected = 0
    for seed in range(120):
        slope, shift = rng.choice([1.0, rng.uniform(0.6, 1.6)]), rng.choice([0.0, rng.uniform(-1, 1)])
        data = drawn(int(rng.integers(20, 400)), seed=seed, slope=slope, shift=shift, trainings=int(rng.integers(1, 4)))
        error, confidence = rms_calibration_error(*data, 15), float(rng.choice([0.55, 0.8, 0.95, 0.99]))
        low, high = error.confidence_interval(confidence)
        assert 0 <= low <= error.value <= high <= 1
        assert low < high
        if confidence > 0.7:
            assert (low > 0) == (error.pvalue <= 1 - confidence)
            rejected += low > 0
    assert 20 < rejected < 100


def test_a_wider_interval_for_more_confidence():
    error = rms_calibration_error(*drawn(300, shift=0.3), 15)
    limits = [error.confidence_interval(level) for level in (0.8, 0.9, 0.95, 0.99)]
    assert np.all(np.diff([low for low, _ in limits]) <= 0)
    assert np.all(np.diff([high for _, high in limits]) > 0)


def test_the_order_of_images_names_of_lesions_and_the_side_of_the_event_do_not_matter():
    confidence, hits, lesion = drawn(200, seed=7, shift=0.5)
    expected = rms_calibration_error(confidence, hits, lesion, 8)
    order = np.random.default_rng(0).permutation(len(lesion))
    renamed = np.random.default_rng(1).permutation(200)[lesion]
    for other in (
        rms_calibration_error(confidence[:, order], hits[:, order], lesion[order], 8),
        rms_calibration_error(confidence, hits, renamed, 8),
    ):
        assert other.squared == pytest.approx(expected.squared)
        assert other.confidence_interval() == pytest.approx(expected.confidence_interval())
    mirrored = rms_calibration_error(1 - confidence, ~hits, lesion, 8)
    assert mirrored.squared == pytest.approx(expected.squared, rel=0.05)  # edges of bins fall between other images


def test_copies_of_images_do_not_narrow_the_interval_and_lesions_do():
    confidence, hits, lesion = drawn(39, seed=8, shift=0.5)  # one bin
    plain = rms_calibration_error(confidence, hits, lesion, 15)
    copied = rms_calibration_error(*(np.concatenate([part, part], axis=-1) for part in (confidence, hits, lesion)), 15)
    assert copied.squared == pytest.approx(plain.squared)
    assert copied.confidence_interval() == pytest.approx(plain.confidence_interval())
    widths = [
        np.diff(rms_calibration_error(*drawn(lesions, shift=0.5), 1).confidence_interval()) for lesions in (39, 4000)
    ]
    assert widths[1] < widths[0] / 5


def test_equal_trainings_are_one_training():
    confidence, hits, lesion = drawn(200, seed=9, shift=0.5)
    single = rms_calibration_error(confidence, hits, lesion, 6)
    repeated = rms_calibration_error(np.repeat(confidence, 3, axis=0), hits[0], lesion, 6)
    assert repeated.squared == pytest.approx(single.squared)
    assert repeated.confidence_interval() == pytest.approx(single.confidence_interval())


@pytest.mark.parametrize("lesions", [1, 2, 40])
def test_without_residuals_that_differ_there_is_neither_interval_nor_test(lesions):
    error = rms_calibration_error(np.ones((1, lesions)), np.ones(lesions, dtype=bool), np.arange(lesions), 15)
    assert error.value == 0
    assert np.isnan([*error.confidence_interval(), error.pvalue]).all()


def test_the_mean_estimate_of_a_calibrated_model_is_0_and_its_value_never_negative():
    errors = [rms_calibration_error(*drawn(200, seed=seed), 10) for seed in range(200)]
    squares = np.array([error.squared for error in errors])
    assert abs(squares.mean()) < 3 * squares.std() / np.sqrt(200)
    assert (squares < 0).mean() > 0.4
    assert min(error.value for error in errors) == 0
    assert RmsCalibrationError(-0.1, 1, 1.0, 1.0, 1.0, 1.0).value == 0
