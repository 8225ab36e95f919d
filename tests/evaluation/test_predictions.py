"""Reading predictions: identities of images and lesions, and contradictions within a file and against the truth."""

import numpy as np
import pandas as pd
import pytest

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import read_predictions
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
