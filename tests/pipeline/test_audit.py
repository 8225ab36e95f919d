"""split and audit on planted duplicates: found, counted, kept out of external evaluation."""

import json

import numpy as np
import pandas as pd
import pytest

from skinlesion.data.store import hash_images
from skinlesion.params import Params
from skinlesion.stages.audit import auditor
from tests.conftest import TINY, small_params, write_params


def _change_files(folder, rows, **columns):
    path = folder / "data/prepared/files.csv"
    files = pd.read_csv(path)
    for name, value in columns.items():
        files.loc[rows, name] = value
    files.to_csv(path, index=False)


def _rows_in_two_parts(folder):
    """Return two rows of images whose lesions lie in different parts, and their ids."""
    split = pd.read_csv(folder / "data/splits/lesion.csv")
    table = pd.read_csv(folder / "data/prepared/metadata.csv")
    part = split.set_index("image_id")["part"]
    first = table["image_id"][0]
    other = next(image_id for image_id in table["image_id"] if part[image_id] != part[first])
    rows = [0, int(table.index[table["image_id"] == other][0])]
    return rows, [first, other]


@pytest.mark.parametrize("column", ["sha256", "pixels_sha256"])
def test_split_fails_on_equal_images_across_parts(workspace_folder, run, column):
    assert run("split", cwd=workspace_folder).code == 0
    report = json.loads((workspace_folder / "reports/split.json").read_text())
    assert report["exact_duplicates"] == report["lesion"]["exact_duplicates_across_parts"] == 0
    rows, ids = _rows_in_two_parts(workspace_folder)
    before = (workspace_folder / "data/splits/lesion.csv").read_bytes()
    _change_files(workspace_folder, rows, **{column: "0" * 64})
    outcome = run("split", cwd=workspace_folder)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert all(part in outcome.err for part in (*ids, "across parts", "one lesion_id"))
    assert (workspace_folder / "data/splits/lesion.csv").read_bytes() == before


def test_the_audit_finds_what_was_planted(workspace_folder, run):
    """One lesion under two ids, across parts; an external set with one image of ours, and one that looks like one."""
    write_params(
        workspace_folder,
        small_params(
            audit={"replicates": 100, "false_positive_rate": 1e-3, "hash_distance": 6},
            external=[
                {"name": "other", "source": "phantom", "path": ".", "phantom": {"images": 150, "seed": 5}},
            ],
        ),
    )
    assert run("prepare", "--external", "other", cwd=workspace_folder).code == 0
    rows, ids = _rows_in_two_parts(workspace_folder)
    _write_images(workspace_folder / "data/prepared", {rows[1]: (workspace_folder / "data/prepared", rows[0])})
    # The first image outside gets an id of ours; the second one the look of our first, brightened.
    outside = workspace_folder / "data/external/other"
    table = pd.read_csv(outside / "metadata.csv", keep_default_na=False)
    files = pd.read_csv(outside / "files.csv")
    table.loc[0, "image_id"] = files.loc[0, "image_id"] = ids[0]
    table.to_csv(outside / "metadata.csv", index=False)
    files.to_csv(outside / "files.csv", index=False)
    _write_images(outside, {1: (workspace_folder / "data/prepared", rows[0])})

    outcome = run("audit", cwd=workspace_folder)
    assert outcome.code == 0, outcome.err
    folder = workspace_folder / "reports/audit"
    report = json.loads((folder / "audit.json").read_text())
    pairs = pd.read_csv(folder / "pairs.csv")
    near = pairs[pairs["kind"] == "near"]
    assert sorted(ids) in [sorted(pair) for pair in near[["first", "second"]].values.tolist()]
    assert (
        report["near_duplicates"]
        == len(near)
        == report["near_duplicates_across_parts"] + (near["first_part"] == near["second_part"]).sum()
    )
    assert report["calibration"]["false_positive_rate"] <= 1e-3
    overlap = pd.read_csv(folder / "overlap.csv").set_index("image_id")
    assert overlap.loc[ids[0], "reason"] == "image_id"
    assert overlap.loc[table.loc[1, "image_id"], "training_image_id"] in ids
    assert overlap.loc[table.loc[1, "image_id"], "reason"] == "near-duplicate"
    page = (folder / "audit.html").read_text()
    assert "SYNTHETIC" in page
    assert page.count("data:image/jpeg") == 2 * (len(pairs) + len(overlap))

    # Evaluation leaves the overlap out and counts it.
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    assert run("evaluate", "--experiment", "concat", cwd=workspace_folder).code == 0
    notes = json.loads((workspace_folder / "reports/runs/concat/external/notes.json").read_text())["other"]
    assert sum(notes["removed"].values()) == len(overlap)
    predicted = pd.read_csv(workspace_folder / "reports/runs/concat/external/other.csv")
    assert not set(predicted["image_id"]) & set(overlap.index)
    assert len(predicted) == notes["images"] == 150 - len(overlap)

    write_params(
        workspace_folder,
        small_params(audit={"replicates": 100, "false_positive_rate": 1e-3, "on_near_duplicates": "stop"}),
    )
    outcome = run("audit", cwd=workspace_folder)
    assert outcome.code == 2
    assert "near-duplicates across parts" in outcome.err
    assert "pairs.csv" in outcome.err


def _write_images(prepared, replaced):
    """Put other images, a little brighter, into rows of a prepared array; `replaced`: row → (folder, row there)."""
    path = prepared / "images.npy"
    images = np.load(path)
    for row, (folder, source_row) in replaced.items():
        source = np.load(folder / "images.npy", mmap_mode="r")[source_row]
        images[row] = np.clip(source.astype(int) + 2, 0, 255)
    path.unlink()
    np.save(path, images)
    described = json.loads((prepared / "prepared.json").read_text())
    described["images_sha256"] = hash_images(path)
    (prepared / "prepared.json").write_text(json.dumps(described))


@pytest.mark.parametrize(
    "changes",
    [
        {"regime": "full", "resolutions": [32, 64], "augment": "dermoscopy"},
        {"age": "binned", "metadata": "embedding", "fusion": "concat", "image_hidden": [8]},
        {"fusion": "metadata_only", "records": "permuted"},
    ],
)
def test_any_settings_of_training_can_be_audited(changes):
    """A default of every experiment, such as fine-tuning at several resolutions, is none of frozen features."""
    train = {"backbone": TINY, "weights": "none"} | changes
    settings = auditor(Params.model_validate({"train": train, "audit": {"weights": "imagenet"}}))
    assert (settings.fusion, settings.regime, settings.records) == ("none", "frozen", "own")
    assert (settings.backbone, settings.weights) == (TINY, "imagenet")
