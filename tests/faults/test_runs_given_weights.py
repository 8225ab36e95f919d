"""Weights that the user names, and checkpoints: damaged ones are refused in one line, or not used."""

import shutil

import pytest
import torch
from hypothesis import given
from safetensors.torch import save_file

from skinlesion.errors import UserError
from skinlesion.experiment.predictor import Predictor
from skinlesion.models.backbones import load_backbone
from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace
from skinlesion.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from skinlesion.training.pretraining_record import pretraining_records
from tests.conftest import TINY
from tests.faults.harness import SEEDS, cases, check_refused
from tests.faults.mutations import mutate_bytes


@pytest.fixture(scope="module")
def given_weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "mine.safetensors"
    save_file(load_backbone(TINY, "none", 32).module.state_dict(), path)
    return path


def test_whole_weights_are_taken(given_weights):
    assert load_backbone(TINY, str(given_weights), 32).name == TINY


def damage_nan(path):
    state = load_backbone(TINY, "none", 32).module.state_dict()
    next(value for value in state.values() if value.is_floating_point()).view(-1)[0] = float("nan")
    save_file(state, path)


@pytest.mark.parametrize(
    "damage",
    [
        damage_nan,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("weights"),
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        lambda path: save_file({"conv1.weight": torch.zeros(3)}, path),
        lambda path: save_file({}, path),
        lambda path: save_file({"fc.weight": torch.zeros(())}, path),
    ],
)
def test_damaged_weights_are_refused(workspace_folder, given_weights, run, damage):
    path = workspace_folder / "mine.safetensors"
    shutil.copy(given_weights, path)
    damage(path)
    outcome = run("train", "--backbone", TINY, "--weights", str(path), "--set", "input_size=32", cwd=workspace_folder)
    check_refused(outcome, "train.weights")
    assert not (workspace_folder / "runs").exists()


def check_given(path, seed):
    """Load damaged weights: they are refused, or all finite (a bit of a number that is still one cannot be seen)."""
    whole = path.read_bytes()
    try:
        path.write_bytes(mutate_bytes(whole, seed))
        pretraining_records(path)
        state = load_backbone(TINY, str(path), 32).module.state_dict()
        assert all(torch.isfinite(value).all() for value in state.values())
    except UserError:
        pass
    finally:
        path.write_bytes(whole)


@cases(15)
@given(SEEDS)
def test_weights_with_any_damage(given_weights, seed):
    check_given(given_weights, seed)


@pytest.mark.slow
@cases(500)
@given(SEEDS)
def test_weights_with_much_damage(given_weights, seed):
    check_given(given_weights, seed)


@pytest.mark.parametrize("record", ["[]", '{"protocol": []}', "[" * 50_000, '{"split": "\x1b[2J' + "y" * 5000 + '"}'])
def test_a_damaged_record_of_pretraining_is_refused(workspace_folder, given_weights, run, record):
    path = workspace_folder / "mine.safetensors"
    shutil.copy(given_weights, path)
    path.with_suffix(".json").write_text('{"pretraining": ' + record + "}")
    outcome = run("train", "--backbone", TINY, "--weights", str(path), "--set", "input_size=32", "--set", "epochs=1",
                  cwd=workspace_folder)  # fmt: skip
    if record == "[]":  # weights of another origin, with a file of their own beside them
        assert outcome.code == 0
    else:
        check_refused(outcome, "mine")


def test_a_damaged_checkpoint_is_not_used(tmp_path):
    path, device = tmp_path / "checkpoint-head.safetensors", torch.device("cpu")
    state = {"weight": torch.ones(3)}
    best = {"weight": torch.ones(3)}
    progress = Progress(1, state, best, {"state": {}, "param_groups": [{"lr": 0.1}]}, 1, 0.5, [{"epoch": 1}])
    save_checkpoint(path, progress, "mine")
    whole = path.read_bytes()
    assert load_checkpoint(path, "mine", device).epoch == 1
    for old, new in ((b'"epoch\\": 1, ', b'"epoch\\": [],'), (b"history", b"histori"), (b"best_epoch", b"best_epok_")):
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        assert load_checkpoint(path, "mine", device) is None, old
    for seed in range(200):
        path.write_bytes(mutate_bytes(whole, seed))
        load_checkpoint(path, "mine", device)


def test_predict_refuses_damaged_weights_and_calibrators(finished, tmp_path):
    folder = tmp_path / "workspace"
    shutil.copytree(finished, folder)
    params, workspace = load_params(folder / "params.yaml"), Workspace(folder)
    Predictor.open(params, workspace, "concat")
    path = folder / "models/concat/fold0-seed0/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\xc0\x7f")
    with pytest.raises(UserError, match=r"weights\.safetensors"):
        Predictor.open(params, workspace, "concat")
