"""What the answer says of the size of a gain, beside its direction."""

import pandas as pd
import pytest

from skinlesion.report.effect_page import Answers


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.05, "helps, by an amount not shown to exceed the margin of 0.02"),
        (0.021, 0.05, "helps by more than the margin of 0.02"),
        (-0.05, -0.01, "hurts, by an amount not shown to exceed the margin of 0.02"),
        (-0.05, -0.03, "hurts by more than the margin of 0.02"),
        (-0.05, 0.01, "is not shown to help or to hurt"),
        (float("nan"), float("nan"), "is not judged: 3 lesions"),
    ],
)
def test_a_gain_is_judged_against_the_margin(low, high, words):
    row = {"question": "gain", "group": "all", "metric": "balanced_accuracy", "value": 0.03, "low": low, "high": high}
    answers = Answers(pd.DataFrame([row | {"note": "3 lesions"}]), pd.DataFrame())
    assert answers.verb("gain", "all", 0.02) == words
    if words.startswith("helps"):
        assert answers.verb("gain", "all") == "helps"
