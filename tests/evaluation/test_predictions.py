"""Reading predictions: identities of images and lesions, and contradictions, layers of repeats and seeds."""

import numpy as np
import pandas as pd
import pytest

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import (
    ABSENT,
    by_lesion,
    read_predictions,
    read_validation,
    restrict_images,
    restrict_repeats,
    runs_of,
)
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS


def make_table(count: int = 6, seeds: int = 1) -> pd.DataFrame:
    """Return valid predictions of `count` images, two of each lesion."""
    rng = np.random.default_rng(0)
    tables = []
    for seed in range(seeds):
        table = pd.DataFrame({
            "image_id": [f"i{place}" for place in range(count)],
            "lesion_id": [f"l{place // 2}" for place in range(count)],
            "fold": 0, "seed": seed, "dx": [CLASSES[place // 2 % 7] for place in range(count)],
        })  # fmt: skip
        table[list(PROBABILITY_COLUMNS)] = rng.dirichlet(np.ones(7), size=count)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write(folder, table, name="predictions.csv"):
    path = folder / name
    table.to_csv(path, index=False)
    return path


def test_a_blank_lesion_id_is_a_lesion_of_its_own_and_the_others_stay_whole(tmp_path):
    """pandas once cut all ids to one character where one of them was missing: all lesions became one."""
    table = make_table()
    table.loc[0, "lesion_id"] = None
    predictions, warnings = read_predictions(write(tmp_path, table))
    assert len(np.unique(predictions.lesions)) == 4  # i0, i1, and two lesions of two images
    assert list(predictions.lesions[2:]) == ["l1", "l1", "l2", "l2"]
    assert any("lesion_id blank at 1 of 6 images (i0)" in warning for warning in warnings)


def test_a_blank_lesion_id_in_the_truth_is_a_lesion_of_its_own(tmp_path):
    table = make_table()
    truth = table[["image_id", "dx", "lesion_id"]].copy()
    truth.loc[5, "lesion_id"] = ""
    path = write(tmp_path, table.drop(columns=["lesion_id", "dx"]))
    predictions, warnings = read_predictions(path, write(tmp_path, truth, "truth.csv"))
    assert list(predictions.lesions[:5]) == ["l0", "l0", "l1", "l1", "l2"]
    assert len(np.unique(predictions.lesions)) == 4
    assert "i5" in warnings[0]


def test_names_that_pandas_takes_for_missing_are_names(tmp_path):
    table = make_table()
    table["image_id"] = ["NA", "nan", "null", "None", "NaN", "n/a"]
    table["lesion_id"] = ["NA", "NA", "nan", "nan", "null", "null"]
    predictions, warnings = read_predictions(write(tmp_path, table))
    assert set(predictions.image_ids) == {"NA", "nan", "null", "None", "NaN", "n/a"}
    assert len(np.unique(predictions.lesions)) == 3
    assert not warnings


def test_a_blank_image_id_is_refused_with_its_line(tmp_path):
    table = make_table()
    table.loc[3, "image_id"] = None
    with pytest.raises(UserError, match="image_id blank in line 5"):
        read_predictions(write(tmp_path, table))


@pytest.mark.parametrize(("column", "value"), [("dx", "mel"), ("lesion_id", "other"), ("fold", 3)])
def test_seeds_of_a_file_must_agree_on_every_image(tmp_path, column, value):
    table = make_table(seeds=2)
    row = table.index[(table["seed"] == 1) & (table["image_id"] == "i2")][0]
    table.loc[row, column] = value
    with pytest.raises(UserError, match=f"{column} differs between seeds 0 and 1 at i2"):
        read_predictions(write(tmp_path, table))


@pytest.mark.parametrize(("column", "value"), [("dx", "mel"), ("lesion_id", "other")])
def test_a_truth_that_contradicts_the_file_is_refused(tmp_path, column, value):
    table = make_table()
    truth = table[["image_id", "dx", "lesion_id"]].copy()
    truth.loc[4, column] = value
    with pytest.raises(UserError, match=f"{column} differs at i4"):
        read_predictions(write(tmp_path, table), write(tmp_path, truth, "truth.csv"))


def test_a_truth_with_an_id_twice_is_refused(tmp_path):
    table = make_table()
    truth = pd.concat([table, table.iloc[:1]])[["image_id", "dx"]]
    with pytest.raises(UserError, match="listed twice: i0"):
        read_predictions(write(tmp_path, table), write(tmp_path, truth, "truth.csv"))


def repeated(repeats: int = 2, seeds: int = 2) -> pd.DataFrame:
    """Return predictions of six images on several partitions: image i is in fold (i + repeat) % 3."""
    tables = []
    for repeat in range(repeats):
        table = make_table(seeds=seeds).assign(repeat=repeat)
        table["fold"] = (table["image_id"].str[1:].astype(int) + repeat) % 3
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def test_a_layer_is_a_repeat_and_a_seed_with_folds_of_its_own(tmp_path):
    table = repeated().sample(frac=1, random_state=0)
    predictions, _ = read_predictions(write(tmp_path, table))
    assert predictions.layers == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert predictions.seeds == (0, 1, 0, 1)
    assert predictions.repeats == (0, 0, 1, 1)
    np.testing.assert_array_equal(predictions.folds, [[0, 1, 2, 0, 1, 2]] * 2 + [[1, 2, 0, 1, 2, 0]] * 2)
    assert predictions.probabilities.shape == (4, 6, 7)
    layer = table[(table["repeat"] == 1) & (table["seed"] == 0)].sort_values("image_id")
    np.testing.assert_allclose(predictions.probabilities[2], layer[list(PROBABILITY_COLUMNS)].to_numpy())


def test_a_file_without_repeats_is_of_repeat_0(tmp_path):
    predictions, _ = read_predictions(write(tmp_path, make_table(seeds=2)))
    assert predictions.repeats == (0, 0)
    assert predictions.folds.shape == (2, 6)


def test_folds_may_differ_between_repeats_and_not_within(tmp_path):
    table = repeated()
    row = table.index[(table["repeat"] == 1) & (table["seed"] == 1) & (table["image_id"] == "i4")][0]
    table.loc[row, "fold"] = 4
    with pytest.raises(UserError, match="fold differs between seeds 0 and 1 at i4"):
        read_predictions(write(tmp_path, table))


@pytest.mark.parametrize(("column", "value"), [("dx", "mel"), ("lesion_id", "other")])
def test_repeats_must_agree_on_what_an_image_is(tmp_path, column, value):
    table = repeated()
    table.loc[(table["repeat"] == 1) & (table["image_id"] == "i3"), column] = value
    for read in (read_predictions, read_validation):
        with pytest.raises(UserError, match=f"{column} differs between repeats 0 and 1 at i3"):
            read(write(tmp_path, table))


def test_repeats_must_test_the_same_images(tmp_path):
    table = repeated()
    table = table[(table["repeat"] == 0) | (table["image_id"] != "i5")]
    with pytest.raises(UserError, match="repeats 0 and 1 hold different images: i5"):
        read_predictions(write(tmp_path, table))


def test_an_image_listed_twice_in_a_layer_is_refused_and_in_two_layers_is_not(tmp_path):
    table = repeated()
    read_predictions(write(tmp_path, table))
    with pytest.raises(UserError, match="listed twice within a seed: i0"):
        read_predictions(write(tmp_path, pd.concat([table, table.iloc[:1]])))


@pytest.mark.parametrize("column", ["fold", "seed", "repeat"])
@pytest.mark.parametrize("value", [None, 0.5, "first"])
def test_a_run_that_is_no_whole_number_is_refused(tmp_path, column, value):
    table = repeated()
    table[column] = table[column].astype(object)
    table.loc[2, column] = value
    with pytest.raises(UserError, match=f"{column} is not a whole number at i2"):
        read_predictions(write(tmp_path, table))


def test_validation_parts_of_repeats_may_hold_different_images(tmp_path):
    table = repeated()
    kept = {0: ["i0", "i1", "i2"], 1: ["i2", "i3"]}
    table = table[[row.image_id in kept[row.repeat] for row in table.itertuples()]]
    validation, _ = read_validation(write(tmp_path, table))
    assert list(validation.image_ids) == ["i0", "i1", "i2", "i3"]
    np.testing.assert_array_equal(validation.folds[1], [0, 1, 2, ABSENT])
    np.testing.assert_array_equal(validation.folds[2], [ABSENT, ABSENT, 0, 1])
    np.testing.assert_array_equal(np.isnan(validation.probabilities).any(axis=2), validation.folds == ABSENT)
    assert validation.runs_tested == {"folds": [0, 1, 2], "seeds": [0, 1], "repeats": [0, 1]}
    with pytest.raises(UserError, match="hold different images"):
        read_predictions(write(tmp_path, table))
    lacking = table[(table["seed"] == 0) | (table["image_id"] != "i3")]
    with pytest.raises(UserError, match="seeds 0 and 1 hold different images: i3"):
        read_validation(write(tmp_path, lacking))


def test_runs_have_the_rows_of_their_own_partition(tmp_path):
    tested, _ = read_predictions(write(tmp_path, repeated()))
    kept = {0: ["i0", "i1", "i2"], 1: ["i2", "i3", "i4"]}
    table = repeated()
    table = table[[row.image_id in kept[row.repeat] for row in table.itertuples()]]
    validation, _ = read_validation(write(tmp_path, table))
    runs = list(runs_of(tested, validation))
    assert [(run.repeat, run.seed, run.fold) for run in runs] == [
        (repeat, seed, fold) for repeat in (0, 1) for seed in (0, 1) for fold in range(3)
    ]
    for run in runs:
        assert [(int(place) + run.repeat) % 3 for place in run.tested] == [run.fold] * 2
        names = validation.image_ids[run.validation]
        assert [(int(name[1:]) + run.repeat) % 3 for name in names] == [run.fold]
        assert not np.isnan(validation.probabilities[run.layer, run.validation]).any()
    with pytest.raises(UserError, match="other repeats"):
        list(runs_of(tested, restrict_repeats(validation, [0])))


def test_parts_of_predictions_keep_the_folds_of_each_layer(tmp_path):
    predictions, _ = read_predictions(write(tmp_path, repeated()))
    subset = restrict_images(predictions, np.array(["i5", "i1"]))
    np.testing.assert_array_equal(subset.folds, [[1, 2]] * 2 + [[2, 0]] * 2)
    first_repeat = restrict_repeats(predictions, {1})
    assert first_repeat.layers == [(1, 0), (1, 1)]
    np.testing.assert_array_equal(first_repeat.probabilities, predictions.probabilities[2:])
    lesions = by_lesion(predictions)
    np.testing.assert_array_equal(lesions.folds, [[0, 0, 1]] * 2 + [[1, 0, 0]] * 2)  # the lower of the two images'
