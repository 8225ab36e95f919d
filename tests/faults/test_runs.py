"""Trained runs: weights belong to their run, a run that fails destroys no other, and two commands do not mix."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given
from safetensors.torch import load_file, save_file

from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.probabilities import probabilities
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace
from skinlesion.training import runs
from skinlesion.training.runs import Run
from tests.faults.harness import SEEDS, cases, check_ended, check_refused, snapshot
from tests.faults.mutations import mutate_bytes, mutate_json

RUN = Run(0, 0)


@pytest.fixture
def trained(finished, tmp_path):
    """Return a copy of the finished workspace that may be damaged, and what opens its runs."""
    folder = tmp_path / "workspace"
    shutil.copytree(finished, folder)
    return opened(folder)


@pytest.fixture(scope="module")
def damaged(finished, tmp_path_factory):
    """Return another copy, which every example of a strategy damages and restores."""
    folder = tmp_path_factory.mktemp("damaged") / "workspace"
    shutil.copytree(finished, folder)
    return opened(folder)


def opened(folder):
    params, workspace = load_params(folder / "params.yaml"), Workspace(folder)
    inputs = Inputs(workspace, params.experiment("concat"), params.split)
    models = workspace.model("concat")
    return SimpleNamespace(
        folder=folder,
        inputs=inputs,
        models=models,
        run=models / RUN.folder_name,
        weights=models / RUN.folder_name / runs.WEIGHTS_NAME,
        fingerprint=runs.fingerprint(inputs.settings, RUN, inputs.hashes(0)),
    )


def change(folder, **train):
    """Set fields of `train` in the params.yaml of a workspace."""
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["train"] |= train
    path.write_text(yaml.safe_dump(params))


def shift_weights(path):
    state = load_file(path)
    save_file({name: value + 0.5 if value.is_floating_point() else value for name, value in state.items()}, path)


def not_a_number(path):
    state = load_file(path)
    next(value for value in state.values() if value.is_floating_point()).view(-1)[0] = float("nan")
    save_file(state, path)


def without_prefix(path):
    save_file({name.removeprefix("head."): value for name, value in load_file(path).items()}, path)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


DAMAGE = {
    "another run's": shift_weights,
    "NaN": not_a_number,
    "without prefix": without_prefix,
    "a flipped bit": flip_a_bit,
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "text": lambda path: path.write_text("weights"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_weights_that_are_not_those_of_the_run_are_refused(trained, damage):
    DAMAGE[damage](trained.weights)
    assert not runs.is_complete(trained.run, trained.fingerprint)
    for any_version in (False, True):
        with pytest.raises(UserError, match="train` again"):
            TrainedRun.open(trained.inputs, trained.models, RUN, any_version=any_version)


@pytest.mark.parametrize("damage", ["NaN", "without prefix", "cut off"])
def test_weights_are_checked_even_where_the_checksum_was_written_anew(trained, damage):
    from skinlesion.files import sha256_file, write_json

    DAMAGE[damage](trained.weights)
    described = json.loads((trained.run / runs.RUN_NAME).read_text())
    write_json(trained.run / runs.RUN_NAME, described | {"weights_sha256": sha256_file(trained.weights)})
    with pytest.raises(UserError, match="train` again"):
        TrainedRun.open(trained.inputs, trained.models, RUN, any_version=True)


def test_training_again_replaces_damaged_weights(trained, run):
    before = snapshot(trained.models)
    DAMAGE["empty"](trained.weights)
    check_refused(run("evaluate", "--experiment", "concat", cwd=trained.folder), "weights.safetensors", "train` again")
    check_ended(run("train", "--experiment", "concat", cwd=trained.folder))
    after = snapshot(trained.models)
    for name in before:
        assert name.endswith("timing.json") or before[name] == after[name], name
    assert set(before) == set(after)
    assert trained.weights.stat().st_mode & 0o044  # others may read what they may read of run.json


def test_a_run_without_a_checksum_is_trained_again(trained):
    described = json.loads((trained.run / runs.RUN_NAME).read_text())
    del described["weights_sha256"]
    (trained.run / runs.RUN_NAME).write_text(json.dumps(described))
    assert not runs.is_complete(trained.run, trained.fingerprint)
    with pytest.raises(UserError, match="older version"):
        TrainedRun.open(trained.inputs, trained.models, RUN, any_version=True)


def test_the_whole_folder_of_another_run_is_refused(trained):
    shutil.copytree(trained.run, trained.models / "fold1-seed0")
    with pytest.raises(UserError, match="another run's"):
        TrainedRun.open(trained.inputs, trained.models, Run(1, 0), any_version=True)


def test_answers_that_are_no_numbers_are_refused():
    model = torch.nn.Linear(1, 7)
    torch.nn.init.constant_(model.weight, float("nan"))

    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = model

        def forward(self, features, metadata):
            return self.layer(features)

    with pytest.raises(UserError, match="NaN"):
        probabilities([Head()], [[(torch.arange(2), torch.ones(2, 1))]], [[None]])


def open_run(damaged):
    """Open the run whose run.json or weights are damaged: it answers, or one line says why not."""
    complete = runs.is_complete(damaged.run, damaged.fingerprint)
    try:
        opened_run = TrainedRun.open(damaged.inputs, damaged.models, RUN, any_version=True)
        answers = opened_run.of_rows(np.arange(3))
    except UserError:
        return
    assert np.isfinite(answers).all()
    assert complete or runs.read_run(damaged.run)["fingerprint"] != damaged.fingerprint


def check_run_json(damaged, seed):
    path = damaged.run / runs.RUN_NAME
    whole = path.read_text()
    try:
        path.write_text(mutate_json(whole, seed), encoding="utf-8", errors="surrogatepass")
        open_run(damaged)
    finally:
        path.write_text(whole)


def check_weights(damaged, seed):
    whole = damaged.weights.read_bytes()
    try:
        damaged.weights.write_bytes(mutate_bytes(whole, seed))
        with pytest.raises(UserError):
            TrainedRun.open(damaged.inputs, damaged.models, RUN, any_version=True)
    finally:
        damaged.weights.write_bytes(whole)


@cases(15)
@given(SEEDS)
def test_damaged_run_json(damaged, seed):
    check_run_json(damaged, seed)


@cases(15)
@given(SEEDS)
def test_damaged_weights(damaged, seed):
    check_weights(damaged, seed)


@pytest.mark.slow
@cases(1000)
@given(SEEDS)
def test_much_damaged_run_json(damaged, seed):
    check_run_json(damaged, seed)


@pytest.mark.slow
@cases(1000)
@given(SEEDS)
def test_much_damaged_weights(damaged, seed):
    check_weights(damaged, seed)


# A run that fails destroys no other


@pytest.mark.parametrize(
    ("train", "part"),
    [
        ({"batch_size": 1}, "batch_size"),
        ({"regime": "full", "trainable_stages": 999}, "trainable_stages"),
        ({"lr": 10.0, "optimizer": "sgd", "loss": "cross_entropy", "head_hidden": [1_000_000, 1_000_000]}, ""),
        ({"input_size": 33, "backbone": "no_such_model"}, "backbone"),
        ({"folds": [1], "batch_size": 1}, "batch_size"),
    ],
)
def test_a_training_that_fails_leaves_the_old_runs(trained, run, train, part):
    change(trained.folder, **train)
    before = snapshot(trained.folder / "models")
    outcome = run("train", "--experiment", "image", cwd=trained.folder)
    check_refused(outcome, *([part] if part else []))
    assert snapshot(trained.folder / "models") == before


def test_folders_not_asked_for_go_once_the_others_are_complete(trained, run):
    change(trained.folder, seeds=[1], epochs=1)
    check_ended(run("train", "--experiment", "image", cwd=trained.folder))
    assert [path.name for path in (trained.folder / "models/image").iterdir()] == ["fold0-seed1"]


def test_maps_that_cannot_be_made_leave_the_old_ones(trained, run):
    maps = trained.folder / "reports/explanations/maps/image"
    maps.mkdir(parents=True)
    (maps / "summary.csv").write_text("old\n")
    path = trained.folder / "params.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"explain": {"method": "rollout"}}))
    before = snapshot(trained.folder / "reports")
    check_refused(run("explain", cwd=trained.folder), "rollout")
    assert snapshot(trained.folder / "reports") == before


# Two commands at once


def test_a_run_that_another_process_trains_is_left_alone(trained, run):
    change(trained.folder, epochs=1)
    before = snapshot(trained.folder / "models/concat")
    with runs.locked(trained.run):
        check_refused(run("train", "--experiment", "concat", cwd=trained.folder), "another `skinlesion train`")
    assert snapshot(trained.folder / "models/concat") == before


def test_the_lock_of_a_killed_process_holds_nothing(trained, run):
    change(trained.folder, epochs=1)
    (trained.run / ".lock").touch()
    check_ended(run("train", "--experiment", "concat", cwd=trained.folder))
    assert not (trained.run / ".lock").exists()


# Splits


def move_one_image(folder, column="part"):
    """Move one image of a lesion that has several to another part."""
    path = folder / "data/splits/lesion.csv"
    split = pd.read_csv(path)
    row = split.index[split["lesion_id"].duplicated()][0]
    split.loc[row, column] = (split.loc[row, column] + 1) % 10
    split.to_csv(path, index=False)
    return split.loc[row, "lesion_id"]


def test_a_lesion_in_two_parts_is_refused(workspace_folder, run):
    lesion = move_one_image(workspace_folder)
    outcome = run("train", "--experiment", "image", cwd=workspace_folder)
    check_refused(outcome, "lesion.csv", lesion, "skinlesion split")
    assert not (workspace_folder / "models").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("lesion_id", "another"), ("part", "1.5"), ("part", ""),
        ("image_id", "x\x1b[2J"),
    ],
)  # fmt: skip
def test_a_split_that_contradicts_the_data_is_refused(workspace_folder, run, column, value):
    path = workspace_folder / "data/splits/lesion.csv"
    split = pd.read_csv(path, dtype=str)
    split.loc[split.index[split[column] != value][0], column] = value
    split.to_csv(path, index=False)
    check_refused(run("train", "--experiment", "image", cwd=workspace_folder), "lesion.csv")


@pytest.mark.parametrize("written", [True, False])
def test_equal_images_across_parts_are_refused_with_and_without_a_written_split(workspace_folder, run, written):
    path = workspace_folder / "data/prepared/files.csv"
    split = pd.read_csv(workspace_folder / "data/splits/lesion.csv").set_index("image_id")
    files = pd.read_csv(path)
    part = files["image_id"].map(split["part"])
    second = files.index[part != part[0]][0]
    files.loc[second, "sha256"] = files.loc[0, "sha256"]
    files.to_csv(path, index=False)
    if not written:
        shutil.rmtree(workspace_folder / "data/splits")
    check_refused(run("train", "--experiment", "image", cwd=workspace_folder), files.loc[second, "image_id"], "equal")
