"""Labels flipped lesion by lesion among confusable classes, and what becomes of metrics and differences."""

from dataclasses import replace

import numpy as np
import pytest

from skinlesion.analysis.effect.label_noise import CONFUSABLE, flip_labels, label_noise_table
from skinlesion.evaluation.metrics import metric_value
from skinlesion.vocabulary import CLASSES
from tests.simulated import simulated

PREDICTIONS = simulated(3000)
NOT_CONFIRMED = np.zeros(len(PREDICTIONS.labels), dtype=bool)


def flipped(rate, confirmed=NOT_CONFIRMED, seed=0):
    return flip_labels(PREDICTIONS.labels, PREDICTIONS.lesions, confirmed, rate, np.random.default_rng(seed))


def test_a_lesions_images_change_together_to_a_confusable_class_at_the_rate_asked_for():
    labels = flipped(0.1)
    _, first, lesion = np.unique(PREDICTIONS.lesions, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(labels, labels[first][lesion])
    changed = labels != PREDICTIONS.labels
    # 3,000 lesions: a standard error of 0.5 %.
    assert changed[first].mean() == pytest.approx(0.1, abs=0.02)
    for before, after in zip(PREDICTIONS.labels[changed], labels[changed], strict=True):
        assert CLASSES[after] in CONFUSABLE[CLASSES[before]]
    nevi = labels[first][changed[first] & (PREDICTIONS.labels[first] == CLASSES.index("nv"))]
    assert (nevi == CLASSES.index("mel")).mean() == pytest.approx(0.5, abs=0.15)


def test_confirmed_lesions_and_a_rate_of_0_keep_every_label_and_a_rate_of_1_none():
    np.testing.assert_array_equal(flipped(0.0), PREDICTIONS.labels)
    np.testing.assert_array_equal(flipped(1.0, ~NOT_CONFIRMED), PREDICTIONS.labels)
    assert (flipped(1.0) != PREDICTIONS.labels).all()
    # One confirmed image confirms its lesion.
    first = np.unique(PREDICTIONS.lesions, return_index=True)[1]
    confirmed = NOT_CONFIRMED.copy()
    confirmed[first] = True
    np.testing.assert_array_equal(flipped(1.0, confirmed), PREDICTIONS.labels)


def test_flips_of_a_low_rate_are_among_those_of_a_high_one():
    low, high = flipped(0.05) != PREDICTIONS.labels, flipped(0.2) != PREDICTIONS.labels
    assert (low <= high).all()
    np.testing.assert_array_equal(flipped(0.05), flipped(0.05))


def test_every_class_is_confusable_with_others_that_exist():
    assert set(CONFUSABLE) == set(CLASSES)
    for name, others in CONFUSABLE.items():
        assert others
        assert name not in others
        assert set(others) <= set(CLASSES)


def test_a_perfect_answer_is_right_as_often_as_labels_are():
    perfect = replace(PREDICTIONS, probabilities=np.eye(7)[PREDICTIONS.labels][None])
    table = label_noise_table({"perfect": perfect}, [], ["accuracy"], rates=[0.1], draws=40)
    row = table.iloc[0]
    assert row["as_labelled"] == 1
    assert row["mean"] == pytest.approx(0.9, abs=0.01)
    assert row["low"] < row["mean"] < row["high"] < 1


def test_rows_of_systems_and_pairs():
    good = simulated(300, seeds=2)
    poor = replace(good, probabilities=simulated(300, seeds=2, strength=0.8).probabilities)
    systems = {"good": good, "poor": poor}
    metrics = ["accuracy", "balanced_accuracy"]
    table = label_noise_table(systems, [], metrics, [("poor", "good")], rates=[0.01, 0.1], draws=20, seed=3)
    assert len(table) == 2 * 2 * 3
    reversed_table = label_noise_table(systems, [], metrics, [("good", "poor")], rates=[0.01, 0.1], draws=20, seed=3)
    rows = {(row.rate, row.a, row.b, row.metric): row for row in table.itertuples()}
    for row in reversed_table[reversed_table["b"] != ""].itertuples():
        other = rows[row.rate, row.b, row.a, row.metric]
        assert (row.mean, row.low, row.high) == pytest.approx((-other.mean, -other.high, -other.low))
        assert row.same_sign == other.same_sign
    row = rows[0.01, "poor", "good", "accuracy"]
    expected = [np.mean([metric_value("accuracy", s.labels, p) for p in s.probabilities]) for s in (poor, good)]
    assert row.as_labelled == pytest.approx(expected[1] - expected[0])
    assert row.same_sign == 1
    # Noise that has nothing to do with the answers brings a difference of accuracies nearer to 0.
    assert 0 < rows[0.1, "poor", "good", "accuracy"].mean < row.as_labelled
    confirmed = label_noise_table(systems, good.image_ids, metrics, [("poor", "good")], rates=[0.1], draws=5)
    np.testing.assert_allclose(confirmed["mean"], confirmed["as_labelled"])


def test_systems_of_other_images_are_refused():
    other = replace(PREDICTIONS, labels=(PREDICTIONS.labels + 1) % 7)
    with pytest.raises(ValueError, match="second: other labels"):
        label_noise_table({"first": PREDICTIONS, "second": other}, [], ["accuracy"])
