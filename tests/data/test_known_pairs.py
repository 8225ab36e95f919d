"""Known pairs: lesions that people confirmed to be one are one, from `prepare` to the statistics."""

import shutil

import pandas as pd
import pytest

from skinlesion.data.known_pairs import joined_lesions, present_pairs, read_known_pairs
from skinlesion.errors import UserError
from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace
from skinlesion.stages.split import split
from tests.conftest import small_params, trained_workspace, write_params


def table_of(lesions, dx="nv"):
    ids = [f"i{number}" for number in range(len(lesions))]
    return pd.DataFrame({"image_id": ids, "lesion_id": lesions, "dx": dx})


def pairs_of(*pairs):
    return pd.DataFrame(pairs, columns=["first", "second"])


def test_chains_of_pairs_become_one_lesion():
    table = table_of(["b", "c", "a", "d", "b"])
    joined = joined_lesions(table, pairs_of(("i0", "i1"), ("i1", "i2")))
    assert list(joined) == ["a", "a", "a", "d", "a"]
    assert list(joined_lesions(table, pairs_of())) == list(table["lesion_id"])


def test_lesions_of_different_diagnoses_are_not_joined():
    with pytest.raises(UserError, match="different diagnoses: a"):
        joined_lesions(table_of(["a", "b"], ["nv", "mel"]), pairs_of(("i0", "i1")))


def test_every_public_pair_has_a_reason_and_pairs_of_other_data_are_left_out():
    pairs = read_known_pairs()
    assert len(pairs) >= 18
    assert (pairs["reason"].str.len() > 10).all()
    assert present_pairs(pairs, pd.Series(["ISIC_0033481", "x"])).empty


@pytest.mark.parametrize("row", ["a,a,why", "a,b,", ",b,why"])
def test_a_pair_is_two_images_and_a_reason(tmp_path, row):
    path = tmp_path / "known_pairs.csv"
    path.write_text(f"first,second,reason\n{row}\n")
    with pytest.raises(UserError, match="not a pair of two images with a reason"):
        read_known_pairs(path)


def test_a_workspaces_pairs_are_one_lesion_of_the_split_and_of_the_predictions(prepared_template, tmp_path, run):
    """The split joined them and the statistics did not."""
    split = pd.read_csv(prepared_template / "data/splits/lesion.csv")
    tested = split[split["part"].isin([0, 1]) & (split["dx"] == "nv")].drop_duplicates("lesion_id")
    other = split[split["part"].isin([5, 6]) & (split["dx"] == "nv")].iloc[0]
    pair = [tested.iloc[0]["image_id"], other["image_id"]]
    folder = tmp_path / "workspace"
    (tmp_path / "known").mkdir()
    source = tmp_path / "known" / "template"

    shutil.copytree(prepared_template, source)
    (source / "data/known_pairs.csv").write_text(f"first,second,reason\n{pair[0]},{pair[1]},looked at\n")
    assert run("prepare", cwd=source).code == 0
    assert run("split", cwd=source).code == 0
    parts = pd.read_csv(source / "data/splits/lesion.csv").set_index("image_id")
    assert parts.loc[pair[0], "lesion_id"] == parts.loc[pair[1], "lesion_id"]
    assert parts.loc[pair[0], "part"] == parts.loc[pair[1], "part"]
    params = small_params(experiments={"image": {"folds": [0, 1, 2, 3, 4]}}, claims=[], train={"epochs": 1})
    trained_workspace(source, folder, params)
    lesions = pd.read_csv(folder / "reports/runs/image/predictions.csv").set_index("image_id")["lesion_id"]
    assert lesions[pair[0]] == lesions[pair[1]]


def test_a_patients_lesions_are_one_cluster_of_the_predictions(prepared_template, tmp_path):

    source = tmp_path / "template"
    shutil.copytree(prepared_template, source)
    path = source / "data/prepared/metadata.csv"
    table = pd.read_csv(path, keep_default_na=False)
    numbers = pd.factorize(table["lesion_id"])[0]
    # Two nevi a patient; other classes have too few lesions to be joined and still be in every part.
    table["patient_id"] = [
        f"P{number // 2}" if dx == "nv" else f"P{1000 + number}"
        for number, dx in zip(numbers, table["dx"], strict=True)
    ]
    table.to_csv(path, index=False)
    split(load_params(write_params(source, small_params())), Workspace(source))  # patients stay together
    trained_workspace(source, tmp_path / "workspace", small_params(experiments={"image": {}}, claims=[]))
    clusters = pd.read_csv(tmp_path / "workspace/reports/runs/image/predictions.csv")["lesion_id"]
    assert clusters.str.fullmatch(r"P\d+").all()
