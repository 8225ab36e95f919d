"""Weights that were pretrained on images of another training part are refused, whatever is left of their record."""

import json

import pytest
import timm
import torch

from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.pretraining_guard import check_pretraining, origin
from skinlesion.experiment.training_runs import train_experiment
from skinlesion.params import SplitParams, TrainParams
from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace
from skinlesion.stages.split import split
from skinlesion.training.pretraining_record import pretraining_records, save_pretrained
from skinlesion.training.runs import Run, runs_of
from tests.conftest import TINY, small_params, write_params

SMALL = {"backbone": TINY, "input_size": 32, "epochs": 1, "batch_size": 32}


def opened(folder, weights, partitions=1, **settings):
    drawn = SplitParams(repeats=partitions)
    return Inputs(Workspace(folder), TrainParams(**SMALL, weights=str(weights), **settings), drawn)


@pytest.fixture
def weights(workspace_folder, tmp_path):
    """Weights whose record says that they have seen the training part of fold 0 by lesion."""
    path = tmp_path / "seen.safetensors"
    state = timm.create_model(TINY, pretrained=False, num_classes=0).state_dict()
    save_pretrained(path, state, origin(opened(workspace_folder, path), 0, 0))
    return path


def check(inputs):
    check_pretraining(inputs, runs_of(inputs.settings))


def test_the_fold_that_was_pretrained_on_may_be_trained_on(workspace_folder, weights, tmp_path):
    check(opened(workspace_folder, weights, seeds=[0, 1]))
    settings = opened(workspace_folder, weights).settings
    summaries = train_experiment(Workspace(workspace_folder), settings, SplitParams(), tmp_path / "out", "image")
    assert [summary.run for summary in summaries] == [Run(0, 0)]


def test_another_fold_is_refused_before_anything_is_written(workspace_folder, weights, tmp_path):
    inputs = opened(workspace_folder, weights, folds=[0, 3])
    with pytest.raises(UserError) as raised:
        train_experiment(Workspace(workspace_folder), inputs.settings, SplitParams(), tmp_path / "out", "image")
    message = str(raised.value)
    assert "\n" not in message
    assert str(weights) in message
    assert "fold 3 seed 0" in message
    assert "fold 0, not 3" in message
    assert "skinlesion pretrain --protocol lesion --fold 3 --repeat 0" in message
    assert not (tmp_path / "out").exists()


def test_another_protocol_is_refused(workspace_folder, weights):
    with pytest.raises(UserError, match="protocol lesion, not image, another split"):
        check(opened(workspace_folder, weights, protocol="image"))


def test_another_split_or_repeat_is_refused(workspace_folder, weights):
    params = load_params(write_params(workspace_folder, small_params(split={"repeats": 2})))
    split(params, Workspace(workspace_folder))
    check(opened(workspace_folder, weights, partitions=2))  # its first partition is the one that was pretrained on
    with pytest.raises(UserError, match="repeat 0, not 1, another split"):
        check(opened(workspace_folder, weights, partitions=2, repeats=[1], folds=[0]))
    split(load_params(write_params(workspace_folder, small_params(split={"seed": 1}))), Workspace(workspace_folder))
    with pytest.raises(UserError, match=r"\(another split\)"):
        check(opened(workspace_folder, weights))


@pytest.mark.parametrize("remaining", ["header", "json"])
def test_one_of_the_two_records_is_enough(remaining, workspace_folder, weights, tmp_path):
    from safetensors.torch import load_file, save_file

    if remaining == "header":
        weights.with_suffix(".json").unlink()
    else:
        save_file(load_file(weights), weights)
    assert len(pretraining_records(weights)) == 1
    with pytest.raises(UserError, match="fold 0, not 1"):
        check(opened(workspace_folder, weights, folds=[1]))


def test_weights_of_another_origin_pass(workspace_folder, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "mine.safetensors"
    save_file({"w": torch.zeros(1)}, path, {"format": "pt"})
    assert pretraining_records(path) == []
    path.with_suffix(".json").write_text(json.dumps({"notes": "mine"}))
    assert pretraining_records(path) == []
    check(opened(workspace_folder, path, folds=[2]))
    path.with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match=r"mine\.json: not valid JSON"):
        check(opened(workspace_folder, path, folds=[2]))
    check(opened(workspace_folder, path, folds=[2], fusion="metadata_only"))  # has no backbone
    check(opened(workspace_folder, "none", folds=[2]))
