"""Feature caches and prepared images that are damaged: computed anew, or refused in one line."""

import shutil
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.params_file import load_params
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from skinlesion.training.features import cached_features
from tests.faults.harness import SEEDS, cases, check_ended, check_refused
from tests.faults.mutations import mutate_bytes, mutate_json


@pytest.fixture(scope="module")
def cached(prepared_template, tmp_path_factory):
    """Return a workspace with cached features, the cache's two files, and the features as they should be."""
    folder = tmp_path_factory.mktemp("cached") / "workspace"
    shutil.copytree(prepared_template, folder)
    params, workspace = load_params(folder / "params.yaml"), Workspace(folder)
    inputs = Inputs(workspace, params.experiment("image"), params.split)
    features = inputs.features()
    path = workspace.features / f"{features.key}.npy"
    return SimpleNamespace(
        folder=folder, inputs=inputs, path=path, note=path.with_suffix(".json"), right=np.array(features.array)
    )


def recompute(cached):
    inputs = cached.inputs
    return cached_features(
        inputs.images, inputs.described["images_sha256"], inputs.backbone, inputs.request(), inputs.workspace.features
    ).array


def fewer_rows(path):
    np.save(path, np.load(path)[:-1])


def not_a_number(path):
    array = np.load(path)
    array[3, 2] = np.nan
    np.save(path, array)


DAMAGE = {
    "fewer rows": fewer_rows,
    "NaN": not_a_number,
    "another type": lambda path: np.save(path, np.load(path).astype(np.float64)),
    "another width": lambda path: np.save(path, np.load(path)[:, :-1]),
    "pickled": lambda path: np.save(path, np.array(["text", None] * 100, dtype=object), allow_pickle=True),
    "text": lambda path: path.write_text("features"),
    "open bracket": lambda path: path.write_bytes(path.read_bytes().replace(b" \n", b"(\n", 1)),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_features_are_computed_anew(cached, damage, capfd):
    DAMAGE[damage](cached.path)
    np.testing.assert_array_equal(recompute(cached), cached.right)
    assert "damaged, computed anew" in capfd.readouterr().err
    assert {path.suffix for path in cached.path.parent.iterdir()} == {".npy", ".json"}


def check_cache(cached, seed):
    path = cached.note if seed % 3 == 0 else cached.path
    if path == cached.note:
        path.write_text(mutate_json(path.read_text(), seed), encoding="utf-8", errors="surrogatepass")
    else:
        path.write_bytes(mutate_bytes(path.read_bytes(), seed))
    np.testing.assert_array_equal(recompute(cached), cached.right)


@cases(12)
@given(SEEDS)
def test_damaged_caches(cached, seed):
    check_cache(cached, seed)


@pytest.mark.slow
@cases(500)
@given(SEEDS)
def test_much_damaged_caches(cached, seed):
    check_cache(cached, seed)


@pytest.mark.parametrize("rows", ["", "x", "-1024", "7", "9" * 30, "1024"])
@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_damaged_note_of_a_cut_off_extraction_begins_anew(cached, rows, content):
    shutil.move(cached.path, cached.path.with_suffix(".npy.partial"))
    if content is not None:
        cached.path.with_suffix(".npy.partial").write_bytes(content)
    cached.path.with_suffix(".rows.partial").write_text(rows)
    np.testing.assert_array_equal(recompute(cached), cached.right)


# Prepared images


@pytest.mark.parametrize("command", [("describe",), ("train", "--experiment", "image"), ("audit",)])
@pytest.mark.parametrize("damage", ["fewer rows", "cut off", "pickled", "empty", "text"])
def test_damaged_images_are_refused(workspace_folder, run, command, damage):
    path = workspace_folder / "data/prepared/images.npy"
    DAMAGE[damage](path)
    check_refused(run(*command, cwd=workspace_folder), "images.npy", "skinlesion prepare")


@pytest.mark.parametrize("name", ["metadata.csv", "files.csv"])
@pytest.mark.parametrize("change", [lambda table: table.iloc[:-1], lambda table: table.iloc[::-1]])
def test_tables_of_other_rows_than_the_images_are_refused(workspace_folder, run, name, change):
    path = workspace_folder / "data/prepared" / name
    change(pd.read_csv(path, keep_default_na=False)).to_csv(path, index=False)
    for command in (("describe",), ("train", "--experiment", "image")):
        check_refused(run(*command, cwd=workspace_folder), "skinlesion")


def check_images(folder, whole, seed):
    path = folder / "data/prepared/images.npy"
    path.write_bytes(mutate_bytes(whole, seed))
    results = Results.open(folder / "params.yaml")
    with suppress(UserError):
        assert results.photograph(results.metadata["image_id"].iloc[0]).shape == (32, 32, 3)


@cases(12)
@given(SEEDS)
def test_images_with_any_damage(cached, seed):
    path = cached.folder / "data/prepared/images.npy"
    whole = path.read_bytes()
    try:
        check_images(cached.folder, whole, seed)
    finally:
        path.write_bytes(whole)


def test_unreadable_notes_do_not_stop_an_estimate(cached, run):
    (cached.path.parent / "other.json").write_text("[]")
    (cached.path.parent / "other.npy").write_text("")
    try:
        check_ended(run("train", "--experiment", "image", "--dry-run", cwd=cached.folder))
    finally:
        (cached.path.parent / "other.json").unlink()
        (cached.path.parent / "other.npy").unlink()
