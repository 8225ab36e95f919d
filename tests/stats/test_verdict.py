"""Verdicts: direction and size, the same in either order; and the answers to claims that follow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinlesion.stats.verdict import REVERSED, VERDICTS, answer_claim, verdict

MARGIN = 0.02


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.021, 0.09), "higher by more than the margin"),
        ((0.01, 0.09), "higher"),  # shown, of unknown size
        ((0.002, 0.018), "higher, within the margin"),  # shown, and too small to matter
        ((-0.015, 0.012), "equivalent"),
        ((-0.019, 0.05), "not lower by the margin"),
        ((-0.05, 0.019), "not higher by the margin"),
        ((-0.05, 0.05), "inconclusive"),
        ((-0.018, -0.002), "lower, within the margin"),
        ((-0.09, -0.01), "lower"),
        ((-0.09, -0.021), "lower by more than the margin"),
    ],
)
def test_a_verdict_has_a_direction_and_a_size(interval, expected):
    assert verdict(interval, interval, MARGIN) == expected


def test_the_size_is_judged_by_its_own_interval():
    """A one-sided level above half the two-sided one gives a narrower interval for the margin."""
    assert verdict((-0.025, 0.012), (-0.019, 0.01), MARGIN) == "equivalent"
    assert verdict((0.001, 0.025), (0.003, 0.019), MARGIN) == "higher, within the margin"


def test_without_a_margin_there_is_a_direction_alone():
    assert verdict((0.001, 0.002), (0.001, 0.002), None) == "higher"
    assert verdict((-0.3, -0.2), (-0.3, -0.2), None) == "lower"
    assert verdict((-0.001, 0.002), (-0.001, 0.002), None) == "inconclusive"


limits = st.tuples(st.floats(-0.1, 0.1), st.floats(0, 0.1)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(limits, st.sampled_from([None, 0.005, 0.02]))
def test_the_order_of_the_pair_reverses_the_verdict_and_no_answer(interval, margin):
    forward = verdict(interval, interval, margin)
    mirrored = (-interval[1], -interval[0])
    assert verdict(mirrored, mirrored, margin) == REVERSED[forward]
    for direction, opposite in (("higher", "lower"), ("lower", "higher"), ("equal", "equal")):
        assert answer_claim(forward, direction) == answer_claim(REVERSED[forward], opposite)


def test_reversing_twice_changes_nothing():
    assert {REVERSED[REVERSED[name]] for name in VERDICTS} == set(VERDICTS)
    assert all(REVERSED[REVERSED[name]] == name for name in VERDICTS)


@pytest.mark.parametrize(
    ("verdict_on_b", "direction", "answer"),
    [
        ("higher by more than the margin", "higher", "supported"),
        ("higher", "higher", "supported"),
        ("higher, within the margin", "higher", "supported, within the margin"),
        ("higher", "lower", "contradicted"),
        ("lower", "higher", "contradicted"),
        ("lower, within the margin", "lower", "supported, within the margin"),
        ("equivalent", "higher", "no relevant difference"),
        ("equivalent", "equal", "supported"),
        ("higher, within the margin", "equal", "supported"),
        ("higher by more than the margin", "equal", "contradicted"),
        ("higher", "equal", "inconclusive"),  # it may be relevant or not
        ("not higher by the margin", "higher", "at most the margin"),
        ("not lower by the margin", "lower", "at most the margin"),
        ("not lower by the margin", "higher", "inconclusive"),
        ("inconclusive", "higher", "inconclusive"),
    ],
)
def test_claims(verdict_on_b, direction, answer):
    assert answer_claim(verdict_on_b, direction) == answer


def test_what_is_no_interval_or_no_verdict_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        verdict((float("nan"), 0.1), (0, 0.1), MARGIN)
    with pytest.raises(ValueError, match="margin"):
        verdict((0, 0.1), (0, 0.1), 0.0)
    with pytest.raises(ValueError, match="superior"):
        answer_claim("superior", "higher")
    assert np.isfinite(MARGIN)
