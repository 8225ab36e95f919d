"""McNemar, Cochran's Q, the corrected t-test and flips."""

import numpy as np
import pytest
from scipy import stats as sps
from statsmodels.stats.contingency_tables import cochrans_q
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests

from skinlesion.stats.mcnemar import cochran_q, flips, mcnemar
from skinlesion.stats.multiplicity import benjamini_hochberg
from skinlesion.stats.resampled import corrected_resampled_t
from skinlesion.vocabulary import CLASSES


def clustered_hits(seed=0, lesions=120):
    rng = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), rng.integers(1, 5, lesions))
    lesion_effect = rng.normal(size=(2, lesions))[:, lesion]
    a, b = lesion_effect + 0.7 * rng.normal(size=(2, len(lesion))) > -0.8
    return a, b, lesion


@pytest.mark.parametrize("correction", [False, True])
def test_asymptotic_mcnemar_against_statsmodels(correction):
    a, b, _ = clustered_hits()
    only_a, only_b = (a & ~b).sum(), (b & ~a).sum()
    expected = sm_mcnemar([[0, only_a], [only_b, 0]], exact=False, correction=correction)
    method = "asymptotic-corrected" if correction else "asymptotic"
    assert mcnemar(a, b, method).pvalue == pytest.approx(expected.pvalue, rel=1e-10)
    assert mcnemar(a, a, method).pvalue == 1


def test_cochran_against_statsmodels():
    rng = np.random.default_rng(0)
    hits = rng.random((80, 4)) < [0.5, 0.6, 0.7, 0.55]
    expected = cochrans_q(hits)
    result = cochran_q(hits)
    assert result.statistic == pytest.approx(expected.statistic)
    assert result.pvalue == pytest.approx(expected.pvalue)
    assert cochran_q(np.ones((5, 3), bool)).pvalue == 1


def test_benjamini_hochberg_against_statsmodels():
    p = np.random.default_rng(0).random(20) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_the_corrected_t_test_by_hand_and_without_correction():
    differences = np.array([0.02, 0.03, -0.01, 0.04, 0.02])
    result = corrected_resampled_t(differences, 2 / 7)
    t = differences.mean() / np.sqrt(differences.var(ddof=1) * (1 / 5 + 2 / 7))  # one square root, over everything
    assert result.statistic == pytest.approx(t)
    assert result.pvalue == pytest.approx(2 * sps.t.sf(abs(t), 4))
    plain = corrected_resampled_t(differences, 0.0)
    assert plain.pvalue == pytest.approx(sps.ttest_1samp(differences, 0).pvalue)
    interval = sps.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (plain.low, plain.high) == pytest.approx((interval.low, interval.high))
    assert corrected_resampled_t(np.zeros(3), 0.2).pvalue == 1


def test_flips_name_the_melanomas_lost_and_gained():
    labels = np.array([4, 4, 4, 5, 5])
    a, b = np.array([4, 4, 5, 5, 5]), np.array([4, 5, 4, 4, 5])
    ids = np.array(["m1", "m2", "m3", "n1", "n2"])
    result = {change.class_name: change for change in flips(labels, a, b, ids, CLASSES)}
    assert (result["mel"].cases, result["mel"].lost, result["mel"].gained) == (3, ("m2",), ("m3",))
    assert result["nv"].lost == ("n1",)
    assert result["df"].cases == 0
