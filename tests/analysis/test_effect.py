"""Does metadata help: each question's rows against hand calculations, and what weights and controls mean."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skinlesion.analysis.effect import questions
from skinlesion.analysis.effect.confounding import CONFIRMED, STANDARDISED, source_weights, subsets
from skinlesion.analysis.effect.contrasts import EFFECT_COLUMNS, Contrasts, Term, gain
from skinlesion.evaluation.metrics import metric_value
from skinlesion.evaluation.predictions import restrict_images
from skinlesion.vocabulary import CLASSES, MALIGNANT
from tests.simulated import simulated

COUNT = 900


def model(strength, seed=0):
    """A model on images that all models share; `strength` makes it better."""
    return simulated(COUNT, seeds=3, strength=strength, seed=seed)


SYSTEMS = {
    "image": model(1.2), "concat": model(1.5), "placebo": model(1.19),
    "image_leaky": model(1.5), "concat_leaky": model(1.8),
}  # fmt: skip


def value(name, metric):
    system = SYSTEMS[name]
    return np.mean([metric_value(metric, system.labels, layer) for layer in system.probabilities])


def frame(rows):
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS)).set_index(["question", "group", "metric"]).sort_index()


def test_the_gain_and_its_parts_add_up():
    table = frame(questions.of_gain(SYSTEMS, ("image", "concat"), 0.95))
    gain_row = table.loc[("gain", "all images", "balanced_accuracy")]
    assert gain_row["value"] == pytest.approx(
        value("concat", "balanced_accuracy") - value("image", "balanced_accuracy")
    )
    assert gain_row["low"] < gain_row["value"] < gain_row["high"]
    parts = table.loc["part of the gain"]["value"].droplevel("metric")
    assert parts[list(CLASSES)].sum() == pytest.approx(gain_row["value"])
    assert parts[list(MALIGNANT)].sum() == pytest.approx(parts["malignant"])
    assert parts["malignant"] + parts["benign"] == pytest.approx(gain_row["value"])
    model_row = table.loc[("model", "concat", "balanced_accuracy")]
    assert model_row["value"] == pytest.approx(value("concat", "balanced_accuracy"))
    assert np.isnan(model_row["p"])


def test_the_difference_of_differences_is_that_of_the_two_gains():
    table = frame(questions.of_leak(SYSTEMS, ("image", "concat"), ("image_leaky", "concat_leaky"), 0.95))
    for metric in questions.METRICS:
        image_leak, multimodal_leak, difference = (
            table.loc[("leak", group, metric), "value"] for group in ("image only", "with metadata", "difference")
        )
        assert difference == pytest.approx(multimodal_leak - image_leak)
        assert image_leak == pytest.approx(value("image_leaky", metric) - value("image", metric))


def test_the_placebo_splits_the_gain_into_two_differences():
    table = frame(questions.of_placebo(SYSTEMS, [("concat", "image", "placebo")], 0.95))["value"]
    for metric in questions.METRICS:
        contribution = table[("placebo", "concat against its placebo", metric)]
        placebo_gain = table[("placebo", "placebo against the image alone", metric)]
        assert contribution + placebo_gain == pytest.approx(value("concat", metric) - value("image", metric))


def test_doses_are_compared_with_none_on_the_images_all_were_tested_on():
    fewer = SYSTEMS["image"].image_ids[::2]
    systems = SYSTEMS | {name: restrict_images(SYSTEMS[name], fewer) for name in ("image_leaky", "concat_leaky")}
    doses = {0: ("image", "concat"), 2: ("image_leaky", "concat_leaky")}
    table = frame(questions.of_injection(systems, doses, 0.95))
    row = table.loc[("injection", "image only, up to 2", "accuracy")]
    assert row["images"] == len(fewer)
    restricted = {name: restrict_images(systems[name], fewer) for name in ("image", "image_leaky")}
    values = [
        np.mean([metric_value("accuracy", system.labels, layer) for layer in system.probabilities])
        for system in restricted.values()
    ]
    assert row["value"] == pytest.approx(values[1] - values[0])


def test_equal_effort_compares_the_partitions_that_both_have():
    single = SYSTEMS["image"]
    repeated = {
        name: replace(
            SYSTEMS[name], probabilities=np.concatenate([SYSTEMS[name].probabilities, single.probabilities]),
            folds=np.concatenate([single.folds] * 2), seeds=(0, 1, 2) * 2, repeats=(0,) * 3 + (1,) * 3,
        )
        for name in ("image", "concat")
    }  # fmt: skip
    systems = SYSTEMS | repeated
    table = frame(questions.of_effort(systems, ("image", "concat"), ("image_leaky", "concat_leaky"), 0.95))
    untuned = table.loc[("effort", "untuned", "macro_f1")]
    assert untuned["value"] == pytest.approx(value("concat", "macro_f1") - value("image", "macro_f1"))
    assert untuned["trainings"] == "3 seeds on one partition"


def test_standardised_sources_have_the_same_proportions_in_every_class():
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 4000, p=[0.6, 0.3, 0.1])
    sources = np.where(rng.random(4000) < np.array([0.8, 0.4, 0.1])[labels], "one", "two")
    weights = source_weights(labels, np.arange(4000), sources)
    for label in range(3):
        rows = labels == label
        assert np.average(sources[rows] == "one", weights=weights[rows]) == pytest.approx((sources == "one").mean())
        assert weights[rows].sum() == pytest.approx(rows.sum())


def test_a_class_that_a_source_hardly_has_comes_from_the_others():
    labels = np.repeat([0, 1], 100)
    sources = np.where(np.arange(200) < 50, "one", "two")
    sources[[150, 151]] = "one"  # two lesions of class 1
    weights = source_weights(labels, np.arange(200), sources)
    assert (weights[[150, 151]] == 0).all()
    assert (np.delete(weights, [150, 151])[100:] == 1).all()


def test_views_leave_out_classes_with_too_few_lesions_and_views_of_one_class():
    labels = np.r_[np.repeat([0, 1], 50), [2] * 3, [0] * 20]
    sources = np.r_[["one"] * 103, ["two"] * 20]
    confirmed = np.arange(len(labels)) % 2 == 0
    views = dict(subsets(labels, np.arange(len(labels)), sources, confirmed))
    assert list(views) == ["within one", CONFIRMED, STANDARDISED]
    assert set(labels[views["within one"] > 0]) == {0, 1}
    assert (views[CONFIRMED] > 0).sum() == ((labels != 2) & confirmed).sum()


def test_rows_within_a_source_are_of_its_images_alone():
    ids = SYSTEMS["image"].image_ids
    sources = {image_id: "one" if place % 3 else "two" for place, image_id in enumerate(ids)}
    table = frame(questions.of_sources(SYSTEMS, ("image", "concat"), sources, list(ids[::2]), 0.95))
    inside = restrict_images(SYSTEMS["image"], np.array([name for name in ids if sources[name] == "one"]))
    row = table.loc[("source", "within one", "malignant_auc")]
    assert row["images"] == len(inside.labels)
    assert row["lesions"] == len(np.unique(inside.lesions))
    assert row["low"] < row["value"] < row["high"]


def test_one_training_is_reported_and_few_lesions_have_no_interval():
    single_seed = {
        name: replace(system, probabilities=system.probabilities[:1], folds=system.folds[:1], seeds=(0,), repeats=(0,))
        for name, system in SYSTEMS.items()
    }
    row = Contrasts(single_seed, ["accuracy"], 0.95).row("gain", "all", "accuracy", gain("image", "concat", "accuracy"))
    assert row["about"] == "these trained models"
    few = {name: restrict_images(system, system.image_ids[:8]) for name, system in SYSTEMS.items()}
    row = Contrasts(few, ["accuracy"], 0.95).row("model", "image", "accuracy", [Term(1, "image", "accuracy")])
    assert np.isnan(row["low"])
    assert "fewer than the 20" in row["note"]
