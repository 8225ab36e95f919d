"""Shapley values and missing metadata: identities, a game by hand, and the expectation against simulation."""

import numpy as np
import pytest

from skinlesion.analysis.missing_metadata import break_even, missing_rows, missing_weights, shapley_of_metric
from skinlesion.evaluation.masked_metadata import FIELDS, SHOWN, shown_name
from skinlesion.evaluation.shapley import shapley_values
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.lesion_bootstrap import Estimate
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES, MALIGNANT
from tests.simulated import simulated

ALL = frozenset(FIELDS)


def test_fields_are_those_of_the_encoders():
    """Encoders lie where torch is: their order of fields is held to the one that names masked predictions."""
    from skinlesion.models import metadata_encoders

    assert metadata_encoders.FIELDS == FIELDS


def test_the_glove_game_by_hand():
    """One left glove and two right ones, a pair is worth 1: 2/3, 1/6, 1/6 (a textbook game)."""
    left, right, other = "age", "sex", "localization"
    values = {
        frozenset(shown): np.array([float(left in shown and (right in shown or other in shown))])
        for shown in SHOWN.values()
    }
    shares = shapley_values(values, FIELDS)
    assert {name: value.item() for name, value in shares.items()} == {
        left: pytest.approx(2 / 3), right: pytest.approx(1 / 6), other: pytest.approx(1 / 6),
    }  # fmt: skip


def test_values_add_up_a_useless_input_gets_nothing_and_equal_ones_the_same():
    rng = np.random.default_rng(0)
    values = {frozenset(shown): rng.random((4, 7)) for shown in SHOWN.values()}
    shares = shapley_values(values, FIELDS)
    np.testing.assert_allclose(np.sum(list(shares.values()), axis=0), values[ALL] - values[frozenset()])
    blind = {shown: values[shown - {"sex"}] for shown in values}
    np.testing.assert_allclose(shapley_values(blind, FIELDS)["sex"], 0, atol=1e-12)
    counted = {shown: np.array(len(shown) ** 2.0) for shown in values}
    np.testing.assert_allclose(list(shapley_values(counted, FIELDS).values()), 3)


@pytest.fixture(scope="module")
def versions():
    """Predictions with each set of fields, better with more of them, and estimates of their figures."""
    predictions = {name: simulated(300, strength=1.0 + 0.2 * len(shown), seed=4) for name, shown in SHOWN.items()}
    first = predictions["none"]
    resampled = bootstrap(
        first.labels, [version.probabilities for version in predictions.values()], first.lesions,
        [*("balanced_accuracy", "accuracy"), *(f"sensitivity_{name}" for name in CLASSES)],
        Schema(CLASSES, MALIGNANT), replicates=100, seed=0,
    )  # fmt: skip
    figures = {
        name: {
            metric: Estimate(resampled.estimate(place, metric), resampled.draws(place, metric))
            for metric in resampled.metrics
        }
        for place, name in enumerate(predictions)
    }
    return predictions, figures


@pytest.mark.parametrize("what", ["record", "each field", "age"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_expected_figures_agree_with_simulation(versions, what, rate):
    predictions, figures = versions
    rows = {(r["missing"], r["missing_in"], r["rate"], r["metric"]): r for r in missing_rows(figures, None, 0.95)}
    rng = np.random.default_rng(0)
    first = predictions["none"]
    answers = {name: version.probabilities[0].argmax(axis=1) for name, version in predictions.items()}
    simulated_values = []
    for _ in range(300):
        if what == "record":
            hidden = np.repeat(rng.random((len(first.labels), 1)) < rate, 3, axis=1)
        elif what == "each field":
            hidden = rng.random((len(first.labels), 3)) < rate
        else:
            hidden = np.stack([rng.random(len(first.labels)) < rate] + [np.zeros(len(first.labels), bool)] * 2, axis=1)
        names = [shown_name([f for f, missing in zip(FIELDS, row, strict=True) if not missing]) for row in hidden]
        predicted = np.array([answers[name][place] for place, name in enumerate(names)])
        hit = predicted == first.labels
        simulated_values.append(np.mean([hit[first.labels == c].mean() for c in range(7)]))
    error = np.std(simulated_values) / np.sqrt(300)
    expected = rows[what, "all", rate, "balanced_accuracy"]["value"]
    assert expected == pytest.approx(np.mean(simulated_values), abs=4 * error + 1e-9)


def test_records_missing_in_one_class_change_that_class_alone(versions):
    _, figures = versions
    rows = {(r["missing_in"], r["rate"], r["metric"]): r for r in missing_rows(figures, None, 0.95)}
    full, none = figures[shown_name(FIELDS)], figures["none"]
    assert rows["mel", 1.0, "sensitivity_mel"]["value"] == pytest.approx(none["sensitivity_mel"].value)
    moved = (none["sensitivity_mel"].value - full["sensitivity_mel"].value) / 7
    assert rows["mel", 1.0, "balanced_accuracy"]["value"] == pytest.approx(full["balanced_accuracy"].value + moved)


@pytest.mark.parametrize("what", ["record", "each field", "sex"])
def test_shares_of_images_sum_to_one(what):
    for rate in (0, 0.25, 1):
        assert sum(missing_weights(what, rate).values()) == pytest.approx(1)


def test_the_fields_shares_of_a_metric_sum_to_what_metadata_add(versions):
    _, figures = versions
    shares = shapley_of_metric(figures, "balanced_accuracy")
    gain = figures[shown_name(FIELDS)]["balanced_accuracy"] - figures["none"]["balanced_accuracy"]
    assert sum(share.value for share in shares.values()) == pytest.approx(gain.value)
    np.testing.assert_allclose(np.sum([share.draws for share in shares.values()], axis=0), gain.draws, atol=1e-12)


def test_the_break_even_share():
    def at(value):
        return Estimate(value, np.array([value]))

    assert break_even(at(0.7), at(0.5), at(0.65)).value == pytest.approx(0.25)
    assert break_even(at(0.7), at(0.5), at(0.75)).value == 0
    assert break_even(at(0.7), at(0.66), at(0.6)).value == 1
    assert break_even(at(0.7), at(0.8), at(0.6)).value == 1
