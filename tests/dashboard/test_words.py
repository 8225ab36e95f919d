"""Verdicts and answers in words, the figures by class, and the charts that carry a reference line."""

import numpy as np
import pandas as pd
import pytest

from skinlesion.evaluation.metrics import score
from skinlesion.stats.verdict import REVERSED, VERDICTS, answer_claim
from skinlesion.vocabulary import CLASSES

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")

from skinlesion.dashboard import charts, diagnoses, words
from skinlesion.dashboard.class_table import class_table, weighted_means
from skinlesion.dashboard.comparing import compare_two, judged_rows
from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import restrict_images
from skinlesion.params import StatsParams
from tests.simulated import simulated


def comparison(verdict, difference=0.05, margin=0.02):
    return pd.DataFrame([{
        "a": "one", "b": "two", "metric": "balanced_accuracy", "difference": difference, "low": difference - 0.03,
        "high": difference + 0.01, "low_adjusted": difference - 0.04, "high_adjusted": difference + 0.02, "p": 0.01,
        "p_adjusted": 0.02, "about": "these trained models", "caution": "", "adjustment": "none", "margin": margin,
        "family": "confirmatory", "verdict": verdict, "images": 100,
    }])  # fmt: skip


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_verdict_does_not_depend_on_the_order_of_the_pair(verdict):
    """Which of two is better does not depend on which is chosen first; difference and interval change sign."""
    table = comparison(verdict)
    forward, reversed_row = (
        words.judged_pair(table, *pair, "balanced_accuracy") for pair in (("one", "two"), ("two", "one"))
    )
    assert reversed_row["verdict"] == REVERSED[verdict]
    assert (reversed_row["difference"], reversed_row["low_adjusted"]) == (
        -forward["difference"],
        -forward["high_adjusted"],
    )
    sentences = [words.verdict_sentence(row, 0.95) for row in (forward, reversed_row)]
    if verdict.startswith(("higher", "lower")):
        better = "two" if verdict.startswith("higher") else "one"
        assert [sentence.split(" is better than ")[0] for sentence in sentences] == [better] * 2
        assert sentences[0] == sentences[1]
    else:
        assert not any("is better than" in sentence for sentence in sentences)
    assert "points of balanced accuracy" in sentences[0]


def test_a_pair_without_a_verdict_says_why():
    row = words.judged_pair(
        comparison("no verdict: too few lesions").assign(low_adjusted=np.nan), "one", "two", "balanced_accuracy"
    )
    assert words.verdict_sentence(row, 0.95) == "two and one are not compared by balanced accuracy: too few lesions."


def test_a_pair_that_stats_did_not_compare_has_none():
    assert words.judged_pair(comparison("higher"), "one", "three", "balanced_accuracy") is None
    assert words.judged_pair(comparison("higher"), "one", "two", "macro_f1") is None


@pytest.mark.parametrize("direction", ["higher", "lower", "equal"])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_answer_to_a_claim_has_a_badge(verdict, direction):
    answer = answer_claim(verdict, direction)
    assert words.answer_badge(answer).endswith(f"-badge[{answer[0].upper()}{answer[1:]}]")


def test_weighted_means_are_those_of_the_confusion_matrix():
    """Sensitivities weighted by class sizes are the accuracy, F1 so weighted the weighted F1."""
    tested = simulated(300)
    values = score(tested.labels, tested.probabilities[0], 15).values
    means = weighted_means(class_table(values, np.bincount(tested.labels, minlength=len(CLASSES))))
    assert means["Sensitivity"] == pytest.approx(values["accuracy"])
    assert means["F1"] == pytest.approx(values["weighted_f1"])
    values.pop("precision_mel")
    assert np.isnan(weighted_means(class_table(values, np.bincount(tested.labels, minlength=7)))["Precision"])


def test_every_diagnosis_has_a_text_and_a_level_of_risk():
    assert set(diagnoses.TEXTS) == set(diagnoses.RISKS) == set(CLASSES)
    high = {dx for dx, level in diagnoses.RISKS.items() if level == "high"}
    assert high == {"mel", "bcc"}
    assert {dx for dx, level in diagnoses.RISKS.items() if level == "moderate"} == {"akiec"}


def test_a_reliability_diagram_has_its_diagonal():
    names = ("probability", "came true", "low", "high", "images")
    table = pd.DataFrame({name: [0.3, 0.6] for name in names}).assign(probabilities="as trained")
    drawn = charts.reliability(table).to_dict()
    dashed = next(layer for layer in drawn["layer"] if layer["mark"].get("strokeDash"))
    ends = drawn["datasets"][dashed["data"]["name"]]
    assert [(end["probability"], end["came true"]) for end in ends] == [(0, 0), (1, 1)]


def test_cells_are_shaded_by_their_share_of_the_row():
    matrix = np.full((7, 7), 1)
    matrix[0] = [3, 1, 0, 0, 0, 0, 0]
    drawn = charts.confusion(matrix, shares=False).to_dict()
    cells = next(iter(drawn["datasets"].values()))
    assert [cell["share"] for cell in cells[:3]] == [0.75, 0.25, 0]
    assert [cell["text"] for cell in cells[:3]] == ["3", "1", "0"]
    assert "share" in str(drawn["layer"][0]["encoding"]["color"])


def test_two_systems_are_compared_on_the_images_they_share():
    a, b = simulated(400), simulated(400, strength=1.2)
    fewer = restrict_images(b, b.image_ids[:-20])
    report = compare_two(("one", "two"), a, fewer, StatsParams())
    assert report.images == len(fewer.labels)
    rows = judged_rows(report)
    assert [row.metric for row in rows] == ["balanced_accuracy", "macro_f1", "macro_auc", "accuracy"]
    accuracy = rows[-1]
    hits = [
        (p.probabilities[0].argmax(axis=1) == p.labels).mean() for p in (restrict_images(a, fewer.image_ids), fewer)
    ]
    assert accuracy.difference == pytest.approx(hits[1] - hits[0])
    assert accuracy.low < accuracy.difference < accuracy.high


def test_two_systems_without_a_common_image_are_not_compared():
    a = simulated(100)
    with pytest.raises(UserError, match="none is in both"):
        compare_two(
            ("one", "two"), restrict_images(a, a.image_ids[:50]), restrict_images(a, a.image_ids[50:]), StatsParams()
        )
