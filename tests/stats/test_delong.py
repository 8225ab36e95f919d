"""DeLong against R's pROC, an O(n²) implementation and the jackknife; the clustered form against its definition."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from skinlesion.stats.delong import auc_covariance, auc_difference, macro_auc_difference

# R 4.2.2, pROC 1.18.0 (Debian's r-cran-proc), on the integers of `session()` below:
#
#   i <- 0:79
#   y <- as.integer((i * 37) %% 10 < 4)
#   a <- ((7 * i * i + 3 * i) %% 23) + 6 * y
#   b <- ((5 * i * i + 11 * i) %% 29) + 11 * y
#   ra <- roc(y, a, direction = "<", levels = c(0, 1)); rb <- roc(y, b, direction = "<", levels = c(0, 1))
#   cat(auc(ra), auc(rb));              0.636067708333333 0.794270833333333
#   cat(var(ra), var(rb), cov(ra, rb))  0.00430002345615545 0.00236442924900385 0.000412405050838147
#   t <- roc.test(ra, rb, method = "delong", paired = TRUE)
#   cat(t$statistic, t$p.value)         -2.07024585479529 0.0384293271739118


def session():
    i = np.arange(80)
    y = (i * 37) % 10 < 4
    return y, np.stack([(7 * i * i + 3 * i) % 23 + 6 * y, (5 * i * i + 11 * i) % 29 + 11 * y]).astype(float)


def test_delong_agrees_with_r():
    result = auc_covariance(*session())
    np.testing.assert_allclose(result.auc, [0.636067708333333, 0.794270833333333], rtol=1e-13)
    expected = [[0.00430002345615545, 0.000412405050838147], [0.000412405050838147, 0.00236442924900385]]
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-12)
    difference = auc_difference(result, 0, 1)
    assert difference.difference / difference.standard_error == pytest.approx(2.07024585479529, rel=1e-12)
    assert difference.pvalue == pytest.approx(0.0384293271739118, rel=1e-10)


def slow_delong(positive, scores):
    """The definition, every pair compared: O(n²)."""
    v10, v01, aucs = [], [], []
    for row in scores:
        psi = np.array([[1.0 * (x > y) + 0.5 * (x == y) for y in row[~positive]] for x in row[positive]])
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
        aucs.append(psi.mean())
    return np.array(aucs), np.cov(v10) / positive.sum() + np.cov(v01) / (~positive).sum()


@pytest.mark.parametrize("seed", range(5))
def test_delong_agrees_with_every_pair_compared(seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(60) < 0.3
    scores = rng.integers(0, 15, (3, 60)).astype(float)
    result = auc_covariance(positive, scores)
    aucs, covariance = slow_delong(positive, scores)
    np.testing.assert_allclose(result.auc, aucs, rtol=1e-12)
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-10)


def clustered_data(seed=0, lesions=150):
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), rng.integers(1, 5, lesions))
    positive = (rng.random(lesions) < 0.3)[lesion]
    common = rng.normal(size=(2, lesions))[:, lesion]
    return positive, positive + common + 0.3 * rng.normal(size=(2, len(lesion))), lesion


def test_lesions_of_one_image_give_delong_exactly():
    positive, scores, _ = clustered_data()
    plain = auc_covariance(positive, scores)
    clustered = auc_covariance(positive, scores, np.arange(len(positive)))
    np.testing.assert_allclose(clustered.covariance, plain.covariance, rtol=1e-12)


def test_doubling_every_image_leaves_the_clustered_variance_alone_and_halves_the_naive_one():
    positive, scores, lesion = clustered_data()
    doubled_rows = np.r_[0 : len(positive), 0 : len(positive)]
    clustered = auc_covariance(positive, scores, lesion).covariance
    np.testing.assert_allclose(
        auc_covariance(positive[doubled_rows], scores[:, doubled_rows], lesion[doubled_rows]).covariance, clustered
    )
    naive = auc_covariance(positive, scores).covariance
    doubled = auc_covariance(positive[doubled_rows], scores[:, doubled_rows]).covariance
    np.testing.assert_allclose(doubled, naive / 2, rtol=0.02)
    assert clustered[0, 0] > 1.3 * naive[0, 0]  # images of a lesion resemble each other here


def test_the_clustered_variance_is_that_of_leaving_lesions_out():
    """The jackknife over lesions is an independent estimate of the same variance."""
    positive, scores, lesion = clustered_data(lesions=300)
    result = auc_covariance(positive, scores, lesion)
    left_out = np.array(
        [
            [roc_auc_score(positive[lesion != excluded], row[lesion != excluded]) for row in scores]
            for excluded in np.unique(lesion)
        ]
    )
    count = len(left_out)
    jackknife = (count - 1) ** 2 / count * np.cov(left_out.T)
    np.testing.assert_allclose(result.covariance, jackknife, rtol=0.03, atol=2e-6)


def test_the_macro_difference_is_the_binary_one_when_there_is_one_question():
    positive, scores, lesion = clustered_data(lesions=400)
    probabilities = 1 / (1 + np.exp(-scores))
    a, b = (np.stack([1 - row, row], axis=1) for row in probabilities)
    macro = macro_auc_difference(positive.astype(int), a, b, lesion)
    binary = auc_difference(auc_covariance(positive, scores, lesion), 0, 1)
    assert macro.difference == pytest.approx(binary.difference, abs=1e-12)
    assert macro.standard_error == pytest.approx(binary.standard_error, rel=0.01)


def test_degenerate_input():
    positive, scores, lesion = clustered_data()
    same = auc_difference(auc_covariance(positive, np.stack([scores[0], np.exp(scores[0])]), lesion), 0, 1)
    assert (same.difference, same.pvalue) == (0, 1)
    ties = auc_covariance(positive, np.zeros((1, len(positive))), lesion)
    assert ties.auc[0] == 0.5
    assert ties.covariance[0, 0] == pytest.approx(0)
    perfect = auc_covariance(positive, positive[None].astype(float))
    assert (perfect.auc[0], perfect.covariance[0, 0]) == (1, 0)
    with pytest.raises(ValueError, match="of the class and of others"):
        auc_covariance(np.ones(10, bool), np.zeros((1, 10)))
    with pytest.raises(ValueError, match="NaN"):
        auc_covariance(positive, np.full((1, len(positive)), np.nan))
    with pytest.raises(ValueError, match="two lesions"):
        auc_covariance(np.array([True, False, False]), np.zeros((1, 3)), np.array([0, 1, 2]))


def test_one_lesion_of_a_class_leaves_the_variance_unknown():
    rng = np.random.default_rng(0)
    labels = np.r_[0, 0, rng.integers(1, 3, 40)]
    lesion = np.r_[0, 0, 1:41]
    a, b = rng.dirichlet(np.ones(3), size=(2, 42))
    result = macro_auc_difference(labels, a, b, lesion)
    assert not np.isnan(result.difference)
    assert np.isnan([result.standard_error, result.low, result.high, result.pvalue]).all()
    assert result.reason.startswith("class 0 has one lesion")
    single = macro_auc_difference(labels, a, b, np.zeros(42))
    assert np.isnan(single.pvalue)
    assert macro_auc_difference(labels, a, b, np.r_[0, 99, 1:41]).reason == ""


def test_a_difference_without_variance_has_no_interval():
    """Perfect against reversed scores: every lesion differs alike, which is no estimate of a variance of 0."""
    positive = np.arange(20) < 8
    scores = np.stack([~positive, positive]).astype(float)
    result = auc_difference(auc_covariance(positive, scores), 0, 1)
    assert result.difference == 1
    assert np.isnan([result.low, result.high, result.pvalue]).all()
    assert "variance" in result.reason
