"""Approximate figures have a warning where they are shown, and others have none."""

import numpy as np
import pytest

from skinlesion.analysis.comparison import compare
from skinlesion.analysis.plan import Plan
from skinlesion.analysis.summary import summarise
from skinlesion.evaluation.approximations import (
    approximate_bootstrap,
    approximate_difference,
    approximate_interval,
)
from skinlesion.evaluation.minimum_sizes import LesionNumbers
from skinlesion.params import EvaluateParams
from skinlesion.stats.linear_estimate import LinearEstimate
from skinlesion.stats.recipe import recipe
from skinlesion.vocabulary import CLASSES
from tests.simulated import simulated


def numbers(**counts):
    labels = np.concatenate([np.repeat(place, counts.get(name, 500)) for place, name in enumerate(CLASSES)])
    return LesionNumbers.of(labels, np.arange(len(labels)), CLASSES)


@pytest.mark.parametrize(
    ("caution", "metric", "few", "enough"),
    [
        (approximate_interval, "auc_df", 19, 20),
        (approximate_interval, "sensitivity_df", 29, 30),
        (approximate_interval, "macro_auc", 14, 15),
        (approximate_interval, "balanced_accuracy", 14, 15),
        (approximate_difference, "auc_df", 29, 30),
        (approximate_difference, "macro_f1", 14, 15),
        (approximate_bootstrap, "balanced_accuracy", 59, 60),
    ],
)
def test_few_lesions_of_the_class_that_decides_are_named(caution, metric, few, enough):
    message = caution(numbers(df=few), metric)
    assert message.startswith(f"approximate: {few} df lesions, ")
    assert "benchmarks/validity.md" in message
    assert caution(numbers(df=enough), metric) == ""
    assert caution(numbers(vasc=few), "auc_mel") == ""


@pytest.mark.parametrize(("caution", "few", "enough"), [(approximate_interval, 6, 7), (approximate_difference, 9, 10)])
def test_few_malignant_lesions_are_named(caution, few, enough):
    message = caution(numbers(akiec=few, bcc=few, mel=few), "malignant_auc")
    assert message.startswith(f"approximate: {3 * few} malignant lesions, ")
    assert caution(numbers(akiec=enough, bcc=enough, mel=enough), "malignant_auc") == ""


def test_trainings_that_vary_far_more_than_lesions_are_named():
    rng = np.random.default_rng(0)

    def judged(spread):
        influence = rng.normal(size=100) / 100
        layers = np.array([-1.0, 0.0, 1.0]) * spread
        estimate = LinearEstimate(
            0.0, influence, np.zeros(100, dtype=int), by_layer=layers, layer_influence=np.tile(influence, (3, 1))
        )
        return recipe([1], [estimate], [[(0, 0), (0, 1), (0, 2)]])

    assert judged(0.1).caution == ""
    assert judged(1.0).caution.startswith("approximate: trainings vary ")


def test_outputs_carry_the_caution_beside_the_figure():
    few = simulated(400, seeds=2)
    _, notes = summarise(few, EvaluateParams())
    assert notes["approximate"]["auc_df"].startswith("approximate: ")
    assert "accuracy" not in notes["approximate"]
    plan = Plan(("accuracy", "auc_df"), "accuracy", replicates=100)
    table = compare({"a": few, "b": simulated(400, seeds=2, strength=1.6)}, [("a", "b")], plan).table
    assert set(table.loc[table["metric"] == "accuracy", "caution"]) == {""}
    bootstrapped = table[(table["metric"] == "auc_df") & table["method"].str.contains("bootstrap")]
    assert bootstrapped["caution"].str.startswith("approximate: ").all()
