"""Published splits: the images that the projects trained, validated and reported on, known by their SHA-256."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from skinlesion.choices import PublishedProtocol, names
from skinlesion.data.published_splits import (
    NAMES,
    PUBLISHED_SPLITS,
    draw_published,
    images_sha256,
    in_role,
    is_published,
    published_certificate,
    published_split,
    read_published_splits,
)
from skinlesion.data.store import read_files
from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.params import SplitParams, TrainParams
from skinlesion.params_file import load_params
from skinlesion.report.tables import SPLIT_BY
from skinlesion.results.workspace import Workspace
from skinlesion.stages.split import split
from skinlesion.vocabulary import CLASSES
from tests.archive import records, write_archive
from tests.conftest import small_params, write_params


@pytest.fixture(scope="module")
def table():
    """400 images of 300 lesions, sorted by id, and the place of each in another order."""
    rng = np.random.default_rng(0)
    ids = [f"ISIC_{number:07d}" for number in range(400)]
    lesion = np.arange(400) % 300
    frame = pd.DataFrame({
        "image_id": ids,
        "lesion_id": [f"HAM_{number:07d}" for number in lesion],
        "dx": np.array(CLASSES)[lesion % 7],
    })  # fmt: skip
    return frame, pd.Series(rng.permutation(400), index=ids)


def test_parts_are_those_of_train_test_split_on_the_rows_in_the_order_of_the_source(table):
    frame, order = table
    drawn = draw_published(frame, order)
    source = frame.set_index("image_id").loc[order.sort_values().index].reset_index()
    train, reported = train_test_split(source, test_size=0.2, random_state=42, stratify=source["dx"])
    rest, validating = train_test_split(train, test_size=0.125, random_state=42, stratify=train["dx"])
    fitted, held = train_test_split(source, test_size=0.3, random_state=42, stratify=source["dx"])
    validation, test = train_test_split(held, test_size=0.5, random_state=42, stratify=held["dx"])
    expected = {
        "published_80_20": (train, reported, reported),
        "published_80_20_validated": (rest, validating, reported),
        "published_70_15_15": (fitted, validation, test),
    }
    assert set(expected) == set(NAMES) == set(names(PublishedProtocol)) == set(PUBLISHED_SPLITS)
    for name, parts in expected.items():
        for role, part in zip(("train", "validation", "test"), parts, strict=True):
            images = drawn.loc[in_role(drawn[name].to_numpy(), role), "image_id"]
            assert set(images) == set(part["image_id"]), (name, role)


def test_the_order_of_the_prepared_rows_changes_nothing_and_that_of_the_source_does(table):
    frame, order = table
    drawn = draw_published(frame, order).set_index("image_id")
    shuffled = draw_published(frame.sample(frac=1, random_state=1), order).set_index("image_id")
    assert shuffled.loc[drawn.index].equals(drawn)
    other = draw_published(frame, pd.Series(range(400), index=frame["image_id"])).set_index("image_id")
    assert (other[list(NAMES)] != drawn[list(NAMES)]).any().all()


def test_images_are_known_by_their_sorted_ids():
    expected = hashlib.sha256(b"ISIC_1\nISIC_2").hexdigest()
    assert images_sha256(pd.Series(["ISIC_2", "ISIC_1"])) == expected


def test_a_certificate_counts_what_leaks_and_what_validates_on_reported_images(table):
    frame, order = table
    drawn = draw_published(frame, order)
    certificate = published_certificate(drawn, "published_80_20")
    reported = drawn[drawn["published_80_20"] == 3]
    trained = set(drawn.loc[drawn["published_80_20"] == 0, "lesion_id"])
    assert certificate == {
        "train_images": 320, "validation_images": 80, "test_images": 80,
        "test_images_with_lesion_in_training": np.mean([lesion in trained for lesion in reported["lesion_id"]]),
        "test_images_that_validate": 80,
        "is_the_published_one": False,
    }  # fmt: skip
    assert published_certificate(drawn, "published_80_20_validated")["test_images_that_validate"] == 0


def test_a_split_of_other_images_is_refused_for_ham10000_alone(table, tmp_path):
    frame, order = table
    drawn = draw_published(frame, order)
    assert not is_published(drawn, "published_70_15_15")
    with pytest.raises(UserError, match="published_70_15_15 is not the published split"):
        published_split(drawn, "published_70_15_15", tmp_path / "published.csv", of_ham10000=True)
    parts = published_split(drawn, "published_70_15_15", tmp_path / "published.csv", of_ham10000=False)
    assert list(parts) == ["image_id", "lesion_id", "dx", "part"]


def test_a_class_with_too_few_images_leaves_the_split_out_by_name(table, tmp_path):
    frame, order = table
    few = frame[(frame["dx"] != "df") | (np.arange(400) < 8)]  # two images of df
    drawn = draw_published(few, order)
    assert "published_70_15_15" not in drawn
    with pytest.raises(UserError, match="no column published_70_15_15: some class has too few images"):
        published_split(drawn, "published_70_15_15", tmp_path / "published.csv", of_ham10000=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda split: split.assign(published_80_20=7), "published_80_20 outside 0 to 3 at ISIC_0000000"),
        (lambda split: split.iloc[1:], "lists other images than the prepared data: ISIC_0000000"),
        (lambda split: pd.concat([split, split.iloc[:1]]), "images listed twice: ISIC_0000000"),
    ],
)
def test_a_damaged_file_is_refused(table, tmp_path, change, message):
    frame, order = table
    path = tmp_path / "published.csv"
    change(draw_published(frame, order)).to_csv(path, index=False)
    with pytest.raises(UserError, match=message):
        read_published_splits(path, frame["image_id"])


# As an experiment


def settings(protocol, **changes):
    return TrainParams(**small_params()["train"] | {"protocol": protocol, "folds": [0], **changes})


@pytest.mark.parametrize("written", [True, False])
def test_an_experiment_has_the_parts_whether_or_not_split_was_run(workspace_folder, written):
    workspace = Workspace(workspace_folder)
    if not written:
        (workspace.splits / "published.csv").unlink()
    inputs = Inputs(workspace, settings("published_80_20"), SplitParams())
    train, validation, test = (inputs.rows(0, role) for role in ("train", "validation", "test"))
    assert len(train) == 160
    assert (validation == test).all()
    assert not set(train) & set(test)
    inputs = Inputs(workspace, settings("published_80_20_validated"), SplitParams())
    assert (inputs.rows(0, "test") == test).all()
    assert not set(inputs.rows(0, "validation")) & set(test)


def test_prepare_keeps_the_order_of_the_source(tmp_path, run, monkeypatch):
    monkeypatch.delenv("SKINLESION_DATA", raising=False)
    table = records().sample(frac=1, random_state=3, ignore_index=True)
    table.loc[4, "dx"] = "wart"  # a row that is left out counts as a place
    write_archive(tmp_path / "raw", table)
    source = {"source": "ham10000", "path": "raw", "download": False}
    write_params(tmp_path, small_params(data=source, prepare={"on_error": "skip"}))
    outcome = run("prepare", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    files = pd.read_csv(tmp_path / "data/prepared/files.csv")
    assert len(files) == len(table) - 1
    places = {image_id: place for place, image_id in enumerate(table["image_id"])}
    assert files["source_row"].tolist() == [places[image_id] for image_id in files["image_id"]]
    assert files["source_row"].tolist() != sorted(files["source_row"])


def test_places_that_are_none_are_refused(workspace_folder):
    path = workspace_folder / "data/prepared/files.csv"
    table = pd.read_csv(path)
    table.assign(source_row=0).to_csv(path, index=False)
    with pytest.raises(UserError, match="source_row is not a place of its own for each image"):
        read_files(path)


@pytest.mark.parametrize("changes", [{"folds": [0, 1]}, {"folds": [1]}])
def test_a_published_split_has_one_fold(changes):
    with pytest.raises(ValueError, match=r"has one fold and no repeats; set folds: \[0\]"):
        settings("published_80_20", **changes)


def test_every_protocol_has_words_in_tables():
    from skinlesion.choices import Protocol

    assert set(SPLIT_BY) == set(names(Protocol))


def test_selection_on_the_reported_part_gives_a_warning_with_its_results(workspace_folder, run):
    experiments = {
        "image": {"protocol": "published_80_20", "folds": [0]},
        "concat": {"protocol": "published_80_20_validated", "folds": [0], "fusion": "concat"},
    }
    write_params(workspace_folder, small_params(experiments=experiments))
    for command in ("train", "evaluate"):
        for name in experiments:
            assert run(command, "--experiment", name, cwd=workspace_folder).code == 0
    selected, validated = (run("assess", name, cwd=workspace_folder) for name in experiments)
    assert selected.code == validated.code == 0
    assert "warning: 40 tested images are among the validation images of the same run" in selected.err
    assert not validated.err
    folder = workspace_folder / "reports/runs/image"
    arguments = ["score", f"{folder}/predictions.csv", "--validation", f"{folder}/validation.csv", "--json"]
    scored = json.loads(run(*arguments, cwd=workspace_folder).out)
    assert [text for text in scored["warnings"] if "among the validation images" in text]


def test_the_split_stage_writes_and_certifies_them(workspace_folder):
    workspace = Workspace(workspace_folder)
    content = split(load_params(workspace_folder / "params.yaml"), workspace)
    assert set(content["published"]) == set(NAMES)
    assert json.loads((workspace.reports / "split.json").read_text())["published"] == content["published"]


def test_those_of_ham10000_are_the_published_ones():
    path = Path(os.environ.get("SKINLESION_SHARED_DATA", "../shared/data")) / "ham10000" / "HAM10000_metadata.csv"
    if not path.is_file():
        pytest.skip("HAM10000's table is not here")
    archive = pd.read_csv(path)
    order = pd.Series(range(len(archive)), index=archive["image_id"])
    drawn = draw_published(archive.sort_values("image_id"), order)
    certificates = {name: published_certificate(drawn, name) for name in NAMES}
    assert all(certificate["is_the_published_one"] for certificate in certificates.values())
    # Counted from the projects' own membership: 791 of 2,003 and 543 of 1,503 reported images.
    shares = {name: certificate["test_images_with_lesion_in_training"] for name, certificate in certificates.items()}
    assert shares["published_80_20"] == 791 / 2003
    assert shares["published_70_15_15"] == 543 / 1503
