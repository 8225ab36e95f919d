"""Every form in which a number is written, by examples."""

import numpy as np
import pytest

from skinlesion import numbers

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.6416, {}, "0.642"),
        (-0.6416, {}, "−0.642"),
        (0.0281, {"signed": True}, "+0.028"),
        (-0.0281, {"signed": True}, "−0.028"),
        (-0.00001, {}, "−0.000"),
        (-0.0, {}, "0.000"),
        (-0.0, {"signed": True}, "+0.000"),
        (1024.5, {"places": 1}, "1,024.5"),
        (10015, {"places": 0}, "10,015"),
        (9.876, {"places": None}, "9.876"),
        (-10.44, {"places": None}, "−10.4"),
        (np.float32(0.5), {"places": 2}, "0.50"),
        (np.int64(12345), {"places": 0}, "12,345"),
        (None, {}, "–"),
        (NAN, {}, "–"),
        (float("inf"), {}, "–"),
    ],
)
def test_number(value, options, text):
    assert numbers.number(value, **options) == text


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((0.642, 0.62, 0.664), {}, "0.642 (0.620 to 0.664)"),
        ((-0.01, -0.03, 0.01), {"signed": True}, "−0.010 (−0.030 to +0.010)"),
        ((10.6, 8.521, 12.9), {"places": None}, "10.6 (8.5 to 12.9)"),
        ((0.5, None, None), {}, "0.500"),
        ((0.5, NAN, 0.7), {}, "0.500"),
        ((NAN, 0.1, 0.2), {}, "–"),
        ((None, None, None), {}, "–"),
    ],
)
def test_interval(arguments, options, text):
    assert numbers.interval(*arguments, **options) == text


def test_a_flat_figure_brings_its_limits():
    figures = {"ece": 0.05, "ece_low": 0.04, "ece_high": 0.06, "nll": 1.25}
    assert numbers.figure(figures, "ece") == "0.050 (0.040 to 0.060)"
    assert numbers.figure(figures, "nll", 2) == "1.25"
    assert numbers.figure(figures, "brier") == "–"


def test_limits_stand_alone():
    assert numbers.limits(-0.012, 0.03, signed=True) == "−0.012 to +0.030"
    assert numbers.limits(NAN, 0.03) == "–"


@pytest.mark.parametrize(
    ("share", "places", "text"),
    [(0.9, 0, "90%"), (0.1234, 1, "12.3%"), (0.125, None, "12.5%"), (0.9, None, "90%"), (NAN, 0, "–"), (None, 1, "–")],
)
def test_percent(share, places, text):
    assert numbers.percent(share, places) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0, "pair"), "0 pairs"),
        ((1, "pair"), "1 pair"),
        ((2, "pair"), "2 pairs"),
        ((10015, "image"), "10,015 images"),
        ((1, "class", "classes"), "1 class"),
        ((7, "class", "classes"), "7 classes"),
        ((12345,), "12,345"),
        ((1234.0, "image"), "1,234 images"),
        ((NAN, "image"), "–"),
    ],
)
def test_count(arguments, text):
    assert numbers.count(*arguments) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.5, "0.500"), (0.0213, "0.021"), (0.001, "0.001"), (0.00012, "1.2e−04"), (NAN, "–"), (None, "–")],
)
def test_p_value(p, text):
    assert numbers.p_value(p) == text


@pytest.mark.parametrize(("value", "text"), [(0.02, "0.02"), (1000, "1,000"), (-0.5, "−0.5"), (12.5, "12.5")])
def test_a_setting_is_as_short_as_it_is(value, text):
    assert numbers.plain(value) == text
