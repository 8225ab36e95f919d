"""Clustered Cochran's Q against statsmodels' cluster-robust Wald test, Hotelling's T², and its level by simulation."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as sps

from skinlesion.stats.linear_estimate import LinearEstimate, contrast
from skinlesion.stats.mcnemar import clustered_cochran_q, cochran_q


def hits(seed=0, lesions=60, models=3, copies=0.6):
    """Return right answers (N, M) of equally good models, and lesions; images of a lesion resemble each other."""
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), rng.integers(1, 5, lesions))
    common, specific = rng.normal(size=lesions), rng.normal(size=(lesions, models))
    noise = np.sqrt(copies) * specific[lesion] + np.sqrt(1 - copies) * rng.normal(size=(len(lesion), models))
    return common[lesion][:, None] + noise > -0.8, lesion


def test_the_wald_statistic_is_that_of_a_cluster_robust_regression():
    """statsmodels: ordinary least squares on indicators of models, covariance by lesion, Wald test of equality."""
    right, lesion = hits()
    models = right.shape[1]
    design = np.kron(np.ones((len(right), 1)), np.eye(models))
    fitted = sm.OLS(right.astype(float).ravel(), design).fit(
        cov_type="cluster", cov_kwds={"groups": np.repeat(lesion, models), "use_correction": False}
    )
    wald = fitted.wald_test(np.array([[1, -1, 0], [0, 1, -1]]), scalar=True, use_f=False)
    result = clustered_cochran_q(right, lesion)
    count = len(np.unique(lesion))
    assert result.statistic == pytest.approx(float(wald.statistic) * (count - 1) / count)
    assert (result.degrees, result.residual_degrees, result.clusters) == (2, count - 2, count)
    assert result.pvalue == pytest.approx(sps.f.sf(result.statistic * (count - 2) / ((count - 1) * 2), 2, count - 2))


def test_lesions_of_one_image_give_hotellings_t2():
    right, _ = hits()
    differences = right[:, 1:].astype(float) - right[:, :1]
    count = len(right)
    mean, covariance = differences.mean(axis=0), np.cov(differences.T)
    t2 = count * mean @ np.linalg.solve(covariance, mean)
    assert clustered_cochran_q(right, np.arange(count)).statistic == pytest.approx(t2)
    # Cochran's Q divides by the variance under the null hypothesis and compound symmetry: near, with equal models.
    assert cochran_q(right).statistic == pytest.approx(t2, rel=0.25)


def test_two_models_give_the_t_test_of_their_difference():
    right, lesion = hits(models=2)
    sums = np.bincount(lesion, weights=right[:, 0].astype(float) - right[:, 1])
    value = sums.sum() / len(right)
    influence = (sums - np.bincount(lesion) * value) / len(right)
    linear = contrast([1], [LinearEstimate(value, influence, np.zeros(60, dtype=int))])
    assert clustered_cochran_q(right, lesion).pvalue == pytest.approx(linear.pvalue())


def test_identities():
    right, lesion = hits(models=4)
    result = clustered_cochran_q(right, lesion)
    doubled = clustered_cochran_q(np.r_[right, right], np.r_[lesion, lesion])
    assert doubled.pvalue == pytest.approx(result.pvalue)
    assert clustered_cochran_q(right[:, [2, 0, 3, 1]], lesion).pvalue == pytest.approx(result.pvalue)
    with_a_copy = clustered_cochran_q(right[:, [0, 1, 2, 3, 3]], lesion)
    assert with_a_copy.degrees == result.degrees
    identical = clustered_cochran_q(right[:, [0, 0, 0]], lesion)
    assert (identical.statistic, identical.pvalue) == (0, 1)
    assert clustered_cochran_q(right.mean(axis=1, keepdims=True) * np.ones(3), lesion).pvalue == 1
    with pytest.raises(ValueError, match="two classifiers"):
        clustered_cochran_q(right[:, :1], lesion)


def test_too_few_lesions_have_no_p_value():
    right, _ = hits(models=4)
    assert np.isnan(clustered_cochran_q(right, np.zeros(len(right))).pvalue)
    always = np.stack([np.ones(20), np.zeros(20)], axis=1)
    assert np.isnan(clustered_cochran_q(always, np.arange(20)).pvalue)


def test_it_holds_its_level_where_images_as_independent_do_not():
    """Equally good models, copies of one to four images a lesion: 5 % rejected, by Cochran's Q more than a quarter."""
    rejected, naive, count = 0, 0, 400
    for seed in range(count):
        right, lesion = hits(seed, lesions=120, copies=1.0)
        rejected += clustered_cochran_q(right, lesion).pvalue <= 0.05
        naive += cochran_q(right).pvalue <= 0.05
    assert 0.02 <= rejected / count <= 0.085  # three standard errors about 5 %
    assert naive / count > 0.25
