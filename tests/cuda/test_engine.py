"""What the training engine does on a GPU, by its parts."""

import re

import pytest
import torch

from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.training_runs import train_experiment, train_runs
from skinlesion.models.tf32 import tf32_is_allowed
from skinlesion.params import SplitParams, TrainParams
from skinlesion.results.workspace import Workspace
from skinlesion.training.runs import Run
from tests.cuda.conftest import PLANNED, SMALL
from tests.cuda.pretended import WrongDevice, pretended_cuda


def test_images_that_do_not_fit_are_read_ahead(workspace_folder):
    with pretended_cuda(free=100_000):
        settings = TrainParams(**(SMALL | PLANNED | {"fusion": "film"}))
        train_experiment(Workspace(workspace_folder), settings, SplitParams(), workspace_folder / "out", "x")


def test_a_second_gpu_reads_ahead_too(workspace_folder):
    """The thread that reads ahead starts on device 0: the store has to name its device in full."""
    with pretended_cuda(devices=2, free=100_000):
        torch.cuda.set_device("cuda:1")
        settings = TrainParams(**(SMALL | PLANNED))
        train_runs(
            Workspace(workspace_folder), settings, SplitParams(), workspace_folder / "out", "x", None, [Run(0, 0)]
        )


def test_cublas_has_its_workspace_before_the_first_product(workspace_folder, monkeypatch):
    """Features of a transformer were extracted before it was set."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with pretended_cuda() as mode:
        settings = TrainParams(**(SMALL | {"backbone": "test_vit.r160_in1k", "input_size": 160, "epochs": 1}))
        train_experiment(Workspace(workspace_folder), settings, SplitParams(), workspace_folder / "out", "x")
    assert mode.workspace_at_first_product == ":4096:8"


def test_no_step_of_fine_tuning_waits_for_the_gpu(workspace_folder):
    """There were some fourteen blocking copies a step: draws, constants and rows, one by one."""
    settings = TrainParams(**(SMALL | PLANNED | {"fusion": "film", "finetune_epochs": 1, "record_dropout": 0.1}))
    with pretended_cuda() as mode:
        train_experiment(Workspace(workspace_folder), settings, SplitParams(), workspace_folder / "out", "x")
    in_a_step = re.compile(r"(data/augment|models/|transfer|training/(examples|features|fit))")
    waits = {place: times for place, times in mode.waits.items() if in_a_step.match(place)}
    epochs_and_parts = 4  # the loss of the epoch is read once; so are a few things of each part
    assert sum(waits.values()) <= epochs_and_parts, waits


def test_tf32_is_a_parameter_and_off():
    settings = TrainParams(**SMALL)
    with pretended_cuda():
        for allowed in (True, False):
            Inputs(Workspace("."), settings.model_copy(update={"tf32": allowed}), SplitParams())
            assert tf32_is_allowed() == torch.backends.cuda.matmul.allow_tf32 == allowed


def test_attention_has_its_deterministic_form_alone():
    with pretended_cuda():
        Inputs(Workspace("."), TrainParams(**SMALL), SplitParams())
        assert torch.backends.cuda.math_sdp_enabled()
        assert not torch.backends.cuda.flash_sdp_enabled()
        assert not torch.backends.cuda.mem_efficient_sdp_enabled()
        assert torch.are_deterministic_algorithms_enabled()


def test_runs_share_a_gpu_where_asked(workspace_folder, monkeypatch):
    from skinlesion.experiment import training_runs

    seen = []
    monkeypatch.setattr(training_runs, "run_on_devices", lambda *arguments: seen.append(arguments[3]))
    monkeypatch.setattr(training_runs, "_summary", lambda *_: None)
    settings = TrainParams(**(SMALL | {"processes": 2, "seeds": [0, 1, 2], "fusion": "metadata_only"}))
    with pretended_cuda(devices=2):
        train_experiment(Workspace(workspace_folder), settings, SplitParams(), workspace_folder / "out", "x")
    assert [sorted(devices) for devices in seen] == [["cuda:0", "cuda:0", "cuda:1", "cuda:1"]]


# Mistakes put in on purpose are found -------------------------------------------------------------------------------


def records_stay_behind(monkeypatch):
    original = Inputs.records

    def records(self, rows, encoder, table=None):
        records_with_metadata = original(self, rows, encoder, table)
        object.__setattr__(records_with_metadata, "metadata", torch.from_numpy(encoder.encode(self.table.iloc[rows])))
        return records_with_metadata

    monkeypatch.setattr(Inputs, "records", records)


def head_stays_behind(monkeypatch):
    from skinlesion.models.classifier import FeatureClassifier

    monkeypatch.setattr(FeatureClassifier, "to", lambda self, *_: self)


@pytest.mark.parametrize("mistake", [records_stay_behind, head_stays_behind])
def test_a_forgotten_move_is_found(mistake, workspace_folder, monkeypatch):
    mistake(monkeypatch)
    settings = TrainParams(**(SMALL | {"fusion": "concat"}))
    with pretended_cuda(), pytest.raises(WrongDevice, match="same device"):
        train_experiment(Workspace(workspace_folder), settings, SplitParams(), workspace_folder / "out", "x")
