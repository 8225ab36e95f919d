"""Forest plots: scales, words that are text whatever they hold, and rows without a value."""

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from skinlesion.report.figures import differences, leader_board
from skinlesion.report.forest import NARROW, WIDE, Row, forest, linear, of_differences, signed_points
from skinlesion.results.system import SystemResult


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_a_linear_scale_holds_all_values_in_their_order():
    scale = linear([0.2, 0.5, math.nan, 0.8])
    places = [scale.place(value) for value in (0.2, 0.5, 0.8)]
    assert places == sorted(places)
    assert 0 < places[0] < 0.1 < 0.9 < places[2] < 1
    assert places[1] == pytest.approx(0.5)
    assert scale.place(7) == 1


@pytest.mark.parametrize("farthest", [0.03, 0.1, 0.2, 0.5])
def test_the_smallest_relevant_difference_can_be_seen_beside_any_other(farthest):
    scale = of_differences([-farthest, farthest], 0.02)
    width = 0.4 * NARROW  # px, at least, of the plot itself
    assert (scale.place(0.02) - scale.place(0)) * width > 5
    assert scale.place(0) == pytest.approx(0.5)
    assert 0.0199 < max(scale.ticks) <= scale.high
    assert 0 in scale.ticks


def test_points_on_an_axis():
    assert [signed_points(value) for value in (0, 0.02, -0.005, 0.1, -0.0)] == ["0", "+2", "−0.5", "+10", "0"]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_words_are_text_and_stay_inside(width):
    long = "a_" * 60 + "<b>&\"'\x1b"
    rows = [Row(long, 0.5, 0.4, 0.6, "0.5 (0.4 to 0.6)"), Row("none", number="no interval")]
    svg = forest(rows, linear([0.4, 0.6]), "metric", str, width)
    joined = "".join(texts(svg))
    assert "<b>&\"'\\x1b" in joined
    assert "<b>" not in svg
    assert svg.count("<circle") == 1  # a row without a value has no mark
    places = [float(place) for place in re.findall(r'(?:x|x1|x2|cx)="([\d.]+)"', svg)]
    assert max(places) <= width


def pair(a, b, difference):
    limits = {"low": difference - 0.01, "high": difference + 0.01}
    return {
        "a": a, "b": b, "difference": difference, "low_adjusted": difference - 0.02,
        "high_adjusted": difference + 0.02, "verdict": "inconclusive", "trained": limits, "naive": limits,
    }  # fmt: skip


def test_differences_are_ordered_by_size():
    svg = differences([pair("a", "x", 0.01), pair("a", "y", -0.05), pair("a", "z", 0.04)], "accuracy", 0.02, WIDE)
    assert [text for text in texts(svg) if text in ("x", "y", "z")] == ["z", "x", "y"]
    assert "▲ +4.0 (+2.0 to +6.0)" in texts(svg)
    assert "▼ −5.0 (−7.0 to −3.0)" in texts(svg)
    assert "◇ +1.0 (−1.0 to +3.0)" in texts(svg)


def system(name, value, folds):
    notes = {"folds": list(range(folds)), "system": {"protocol": "lesion"}}
    return SystemResult(name, {"accuracy": value}, notes)


def test_systems_of_one_fold_are_not_ranked_among_those_of_five():
    from skinlesion.report.sections.systems import by_folds

    systems = [system("one", 0.9, 1), system("worse", 0.5, 5), system("better", 0.6, 5)]
    groups = by_folds(systems)
    assert {name: [member.name for member in group] for name, group in groups.items()} == {
        "tested on 5 folds": ["worse", "better"],
        "tested on 1 fold": ["one"],
    }
    shown = texts(leader_board(groups, "accuracy", "accuracy", WIDE))
    order = ["tested on 5 folds", "better", "worse", "tested on 1 fold", "one"]
    assert [text for text in shown if text in order] == order
