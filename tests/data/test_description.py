"""Descriptive tables against hand counts, and shortcuts that were planted."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from skinlesion.data import shortcuts
from skinlesion.data.description import describe_tables, pick_images
from skinlesion.vocabulary import CLASSES


@pytest.fixture
def table():
    rows = [
        ("i1", "l1", "nv", 30.0, "male", "back", "a"),
        ("i2", "l1", "nv", 30.0, "male", "back", "a"),
        ("i3", "l2", "nv", np.nan, "unknown", "unknown", "b"),
        ("i4", "l3", "mel", 70.0, "female", "face", "b"),
    ]
    return pd.DataFrame(rows, columns=["image_id", "lesion_id", "dx", "age", "sex", "localization", "dataset"])


def test_tables_by_hand(table):
    tables = describe_tables(table)
    assert "dx_type" not in tables
    classes = tables["classes"].set_index("dx")
    nv = classes.loc["nv"]
    assert (nv["images"], nv["lesions"], nv["image_share"]) == (3, 2, 0.75)
    assert nv["lesion_share"] == pytest.approx(2 / 3)
    assert nv["age_median"] == 30
    assert nv["age_missing"] == nv["sex_missing"] == nv["localization_missing"] == pytest.approx(1 / 3)
    assert classes.loc["df", "images"] == 0
    assert list(classes.index) == list(CLASSES)
    assert tables["sex"].set_index("sex").loc["male", "nv"] == 2
    assert tables["dataset"].set_index("dataset")["mel"].to_dict() == {"a": 0, "b": 1}
    assert tables["images_per_lesion"].values.tolist() == [[1, 2], [2, 1]]
    # Every image is counted once in every table.
    for name in ("sex", "localization", "dataset"):
        assert tables[name].drop(columns=name).to_numpy().sum() == len(table)


def test_contact_sheets_show_a_lesion_once_and_stay_the_same(table):
    picked = pick_images(table, 8)
    assert len(picked["nv"]) == 2
    assert picked["mel"] == ["i4"]
    assert picked["df"] == []
    assert picked == pick_images(table.sample(frac=1, random_state=3), 8)


def test_a_planted_shortcut_is_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 700)
    frame = pd.DataFrame({
        "dataset": pd.Categorical([f"source{label}" for label in labels]),
        "width": rng.integers(0, 5, 700),
    })  # fmt: skip
    part = rng.integers(0, 10, 700)
    probabilities = shortcuts.out_of_fold(frame, ("dataset",), labels, part)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert balanced_accuracy_score(labels, probabilities.argmax(axis=1)) > 0.99
    noise = shortcuts.out_of_fold(frame, ("width",), labels, part)
    assert balanced_accuracy_score(labels, noise.argmax(axis=1)) < 0.25


def test_a_shortcut_is_never_learned_from_the_images_it_is_tested_on():
    """A value that only images of one part share tells a model of the other parts nothing."""
    rng = np.random.default_rng(1)
    part = np.repeat(np.arange(10), 70)
    labels = rng.integers(0, 7, 700)
    labels[part == 4] = 2
    frame = pd.DataFrame({"dataset": pd.Categorical(["only here" if number == 4 else "elsewhere" for number in part])})
    probabilities = shortcuts.out_of_fold(frame, ("dataset",), labels, part)
    assert (probabilities[part == 4].argmax(axis=1) == 2).mean() < 0.5


def test_facts_take_what_there_is(table):
    files = pd.DataFrame({"image_id": table["image_id"], "width": 600, "height": 450, "bytes": [1, 2, 3, 4]})
    images = np.stack([np.full((4, 4, 3), (10 * n, 20, 30), dtype=np.uint8) for n in range(4)])
    facts = shortcuts.facts(table, files, images)
    assert facts["red"].tolist() == [0, 10, 20, 30]
    assert isinstance(facts["sex"].dtype, pd.CategoricalDtype)
    assert "dx_type" not in facts
    assert {"dx", "lesion_id", "image_id"}.isdisjoint(facts.columns)
