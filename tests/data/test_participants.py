"""The flow of images and the table of participants, counted by hand."""

import numpy as np
import pandas as pd

from skinlesion.data.participants import images_by_role, participant_flow, participants_table
from skinlesion.folds import PARTS

TABLE = pd.DataFrame({
    "image_id": [f"i{number}" for number in range(2 * PARTS)],
    "lesion_id": [f"l{number // 2}" for number in range(2 * PARTS)],
    "dx": ["nv", "mel"] * PARTS,
    "age": [10.0 * (number % 4) if number else np.nan for number in range(2 * PARTS)],
    "sex": ["female"] * 5 + ["male"] * (2 * PARTS - 6) + [""],
    "localization": ["back"] * (2 * PARTS - 1) + ["<b>"],
})  # fmt: skip
SPLIT = TABLE[["image_id", "lesion_id", "dx"]].assign(part=[number // 2 for number in range(2 * PARTS)])


def test_an_image_left_out_for_two_reasons_is_left_out_once():
    flow = participant_flow({
        "images": 7, "lesions": 4, "dropped": {"unclear": 2},
        "rejected": {"no image": ["a", "b"], "age": ["b"]},
    })  # fmt: skip
    assert flow.read == 7 + 2 + 2
    assert flow.excluded == {"diagnosis without a class here: unclear": 2, "no image": 2, "age": 1}
    assert (flow.images, flow.lesions) == (7, 4)
    assert participant_flow({"images": 7, "lesions": 4, "rejected": {}}).excluded == {}


def test_every_fold_tests_two_parts_validates_one_and_trains_the_rest():
    table = images_by_role(SPLIT)
    assert table["test_images"].sum() == len(TABLE)
    assert (table["test_images"] == 4).all()
    assert (table["validation_lesions"] == 1).all()
    assert (table["train_images"] == 14).all()


def test_counts_shares_and_quartiles_by_hand():
    table = participants_table(TABLE, SPLIT).set_index(["group", "value"])
    assert table.loc[("images", ""), "all"] == 20
    assert table.loc[("lesions", ""), "fold0"] == 2
    assert np.isnan(table.loc[("images", ""), "all_share"])
    ages = TABLE["age"].dropna()
    assert table.loc[("age", "median"), "all"] == ages.median()
    assert table.loc[("age", "25%"), "all"] == ages.quantile(0.25)
    assert table.loc[("age", "unknown"), "fold0"] == 1
    assert table.loc[("age", "unknown"), "fold0_share"] == 0.25
    assert table.loc[("sex", "female"), "all"] == 5
    assert table.loc[("sex", "unknown"), "fold4"] == 1
    assert table.loc[("dx", "mel, melanoma"), "all_share"] == 0.5
    assert table.loc[("localization", "<b>"), "all"] == 1
    for group in ("sex", "dx", "localization"):
        assert table.loc[group, "all"].sum() == 20
    assert "dataset" not in table.index.get_level_values(0)
