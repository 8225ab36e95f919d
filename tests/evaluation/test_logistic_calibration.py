"""Calibration intercept and slope: statsmodels, what was put in, full refits, and cases that have none."""

import numpy as np
import pytest
from scipy.special import expit, logit

from skinlesion.evaluation.logistic_calibration import calibration_intercept, calibration_slope
from skinlesion.stats.lesion_bootstrap import Estimate, LesionBootstrap


def drawn(lesions=1500, *, shift=0.0, scale=1.0, seed=0):
    """Return cases, stated risks and lesions of images whose true log-odds are `shift + scale · stated`."""
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), rng.integers(1, 4, lesions))
    common = rng.normal(-1.5, 1.2, lesions)
    stated = common[lesion] + rng.normal(0, 0.3, len(lesion))
    cases = rng.random(lesions)[lesion] < expit(shift + scale * stated)  # images of a lesion agree
    return cases, expit(stated), lesion


def fitted_by_statsmodels(cases, risk, lesion=None):
    """Return intercept (slope held at 1) and slope, each with its standard error."""
    import statsmodels.api as sm

    x = logit(risk)
    options = {} if lesion is None else {"cov_type": "cluster", "cov_kwds": {"groups": lesion}}
    binomial = sm.families.Binomial()
    intercept_fit = sm.GLM(cases.astype(float), np.ones(len(x)), family=binomial, offset=x).fit(**options)
    slope_fit = sm.GLM(cases.astype(float), sm.add_constant(x), family=binomial).fit(**options)
    return (intercept_fit.params[0], intercept_fit.bse[0]), (slope_fit.params[1], slope_fit.bse[1])


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (-0.8, 0.6), (0.5, 2.0)])
def test_statsmodels_finds_the_same(shift, scale):
    cases, risk, _ = drawn(shift=shift, scale=scale)
    (intercept, _), (slope, _) = fitted_by_statsmodels(cases, risk)
    assert calibration_intercept(cases, risk).value == pytest.approx(intercept, abs=1e-8)
    assert calibration_slope(cases, risk).value == pytest.approx(slope, abs=1e-8)
    assert slope == pytest.approx(scale, abs=0.15)


def estimate(statistic, bootstrap):
    return Estimate(statistic.value, statistic.function(bootstrap.totals(statistic.columns)))


def test_resamples_spread_as_the_cluster_robust_standard_error_says():
    cases, risk, lesion = drawn(shift=-0.4, scale=0.8)
    bootstrap = LesionBootstrap(lesion, replicates=4000, seed=0)
    expected = fitted_by_statsmodels(cases, risk, lesion)
    naive = fitted_by_statsmodels(cases, risk)
    for statistic, (_, error), (_, narrow) in zip(
        (calibration_intercept, calibration_slope), expected, naive, strict=True
    ):
        deviation = estimate(statistic(cases, risk), bootstrap).draws.std()
        assert deviation == pytest.approx(error, rel=0.06)
        assert deviation > 1.2 * narrow  # which takes images of a lesion for independent


def test_one_newton_step_is_as_good_as_a_refit_of_every_resample():
    cases, risk, lesion = drawn(1500, shift=-0.4, scale=0.8)
    bootstrap = LesionBootstrap(lesion, replicates=200, seed=1)
    for statistic in (calibration_intercept, calibration_slope):
        steps = estimate(statistic(cases, risk), bootstrap).draws
        whole = []
        for weights in bootstrap.weights.T:
            rows = np.repeat(np.arange(len(lesion)), weights[lesion].astype(int))
            whole.append(statistic(cases[rows], risk[rows]).value)
        assert np.abs(steps - whole).mean() < 0.08 * np.std(whole)
        np.testing.assert_allclose(np.quantile(steps, [0.025, 0.975]), np.quantile(whole, [0.025, 0.975]), atol=0.012)


def test_what_has_no_value():
    risk = np.array([0.1, 0.2, 0.8, 0.9])
    for cases in (np.zeros(4, bool), np.ones(4, bool)):
        assert np.isnan(calibration_intercept(cases, risk).value)
        assert np.isnan(calibration_slope(cases, risk).value)
    parted = np.array([False, False, True, True])
    assert np.isnan(calibration_slope(parted, risk).value)
    # Risks symmetric about 1/2, half of the images cases: nothing to shift.
    assert calibration_intercept(parted, risk).value == pytest.approx(0, abs=1e-9)


def test_risks_of_exactly_zero_and_one_count_as_nearly_so():
    cases, risk, _ = drawn(300)
    risk = np.where(np.arange(len(risk)) < 5, 0.0, risk)
    cases = np.where(np.arange(len(risk)) < 5, False, cases)
    nearly = np.where(risk == 0, 1e-12, risk)
    (intercept, _), (slope, _) = fitted_by_statsmodels(cases, nearly)
    assert calibration_intercept(cases, risk).value == pytest.approx(intercept, abs=1e-7)
    assert calibration_slope(cases, risk).value == pytest.approx(slope, abs=1e-7)
    mirrored = calibration_slope(~cases, 1 - risk)  # risks of exactly 1
    assert mirrored.value == pytest.approx(slope, abs=1e-4)
