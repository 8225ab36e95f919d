"""Simultaneous tests: agreement of p-values and levels, known special cases, and the family-wise error rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps

from skinlesion.stats.multiplicity import benjamini_hochberg, fcr_level
from skinlesion.stats.simultaneous import simultaneous


def equicorrelated(count, rho):
    return np.full((count, count), rho) + (1 - rho) * np.eye(count)


def test_a_single_test_is_not_adjusted():
    result = simultaneous(np.array([0.037]), np.array([12.0]), np.eye(1), 0.9)
    assert (result.adjusted[0], result.level) == (0.037, 1 - 0.9)
    assert result.critical[0] == pytest.approx(sps.t.ppf(0.95, 12))


def test_independent_tests_are_sidaks_and_copies_are_one_test():
    p = np.array([0.001, 0.01, 0.04, 0.3, 0.9])
    sidak = simultaneous(p, np.full(5, 50.0), np.eye(5))
    np.testing.assert_allclose(sidak.adjusted, 1 - (1 - p) ** 5, atol=0.005)
    assert sidak.level == pytest.approx(1 - 0.95**0.2, rel=0.03)
    copies = simultaneous(p, np.full(5, 50.0), np.ones((5, 5)))
    np.testing.assert_allclose(copies.adjusted, p, atol=0.005)
    assert copies.level == pytest.approx(0.05, rel=0.03)
    opposite = np.array([[1.0, -1.0], [-1.0, 1.0]])  # a − b and b − a: two-sided, the same test
    assert simultaneous(p[:2], np.full(2, 50.0), opposite).level == pytest.approx(0.05, rel=0.03)


def test_three_correlated_tests_by_the_multivariate_normal_distribution():
    correlation = np.array([[1, 0.5, 0.2], [0.5, 1, -0.4], [0.2, -0.4, 1]])
    p = np.array([0.01, 0.03, 0.2])
    result = simultaneous(p, np.full(3, 1e6), correlation)
    for adjusted, unadjusted in zip(result.adjusted, p, strict=True):
        z = sps.norm.isf(unadjusted / 2)
        inside = sps.multivariate_normal(np.zeros(3), correlation).cdf(np.full(3, z), lower_limit=np.full(3, -z))
        assert adjusted == pytest.approx(1 - inside, abs=0.004)
    inside = sps.multivariate_normal(np.zeros(3), correlation).cdf(result.critical, lower_limit=-result.critical)
    assert inside == pytest.approx(0.95, abs=0.003)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.sampled_from([0.05, 0.1, 0.01, 0.0001]))
def test_adjusted_values_and_levels_agree_whatever_the_data(seed, count, alpha):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(count, count + 2))
    covariance = factors @ factors.T
    scale = 1 / np.sqrt(np.diag(covariance))
    p = rng.random(count) ** 4
    result = simultaneous(p, np.full(count, 20.0), covariance * np.outer(scale, scale), 1 - alpha, draws=999)
    alpha = 1 - (1 - alpha)
    assert ((result.adjusted <= alpha) == (p <= result.level)).all()
    assert (result.adjusted >= p).all()
    assert (result.adjusted <= np.minimum(count * p, 1) + 1e-15).all()
    assert (np.diff(result.adjusted[np.argsort(p)]) >= 0).all()
    # At the limit itself, and just above it.
    edge = np.resize([result.level, np.nextafter(result.level, 1)], count)
    at_limit = simultaneous(edge, np.full(count, 20.0), covariance * np.outer(scale, scale), 1 - alpha, draws=999)
    assert at_limit.level == result.level
    assert ((at_limit.adjusted <= alpha) == (edge <= result.level)).all()


def test_the_family_wise_error_rate_is_kept_and_not_far_undercut():
    correlation = equicorrelated(6, 0.7)
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(6), correlation, size=4000)
    level = simultaneous(np.full(6, 0.5), np.full(6, 1e6), correlation).level
    wrong = (2 * sps.norm.sf(np.abs(draws)) <= level).any(axis=1).mean()
    assert wrong == pytest.approx(0.05, abs=0.011)
    assert level > 1.3 * 0.05 / 6  # Bonferroni's would reject less


def test_tiny_p_values_are_not_held_up_by_the_number_of_draws():
    result = simultaneous(np.array([1e-12, 0.5]), np.array([30.0, 30.0]), np.eye(2), draws=1000)
    assert result.adjusted[0] == pytest.approx(2e-12)


def test_the_seed_alone_decides():
    p, degrees = np.array([0.01, 0.02]), np.array([9.0, 9.0])
    first, second, third = (
        simultaneous(p, degrees, equicorrelated(2, 0.3), seed=seed, draws=2000) for seed in (0, 0, 1)
    )
    assert (first.adjusted == second.adjusted).all()
    assert (first.adjusted != third.adjusted).any()


@pytest.mark.parametrize(
    ("p", "degrees", "correlation", "message"),
    [
        ([0.1, np.nan], [5, 5], np.eye(2), "0 to 1"),
        ([0.1, 0.2], [5, np.nan], np.eye(2), "degrees"),
        ([0.1, 0.2], [5, 5], np.eye(3), "does not fit"),
        ([0.1, 0.2], [5, 5], 2 * np.eye(2), "diagonal of 1"),
        ([0.1, 0.2, 0.3], [5, 5, 5], equicorrelated(3, -0.9), "eigenvalue"),
    ],
)
def test_what_is_no_family_is_refused(p, degrees, correlation, message):
    with pytest.raises(ValueError, match=message):
        simultaneous(np.array(p), np.array(degrees), correlation)


def test_the_false_coverage_level_by_hand():
    # Benjamini–Hochberg at 5 % of 4: limits 0.0125, 0.025, 0.0375, 0.05. Three are rejected, by 0.037 ≤ 0.0375.
    p = np.array([0.03, 0.2, 0.001, 0.037])
    assert fcr_level(p) == pytest.approx(0.05 * 3 / 4)
    assert fcr_level(np.array([0.2, 0.9])) == pytest.approx(0.05 / 2)  # nothing rejected: as if one were
    assert fcr_level(np.array([0.04])) == 0.05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.05, 0.1, 0.2]))
def test_the_false_coverage_level_agrees_with_adjusted_values(values, alpha):
    p = np.array(values)
    rejected = benjamini_hochberg(p) <= alpha
    level = fcr_level(p, alpha)
    assert ((p <= level) == rejected).all()
    at_limits = alpha * np.arange(1, len(p) + 1) / len(p)
    assert ((at_limits <= fcr_level(at_limits, alpha)) == (benjamini_hochberg(at_limits) <= alpha)).all()
