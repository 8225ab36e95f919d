"""A GPU against the CPU, and against itself; the parts that a pretended device can show run on one as well."""

import warnings

import numpy as np
import pytest
import torch

from skinlesion.data.augment import PRESETS, Augmentation, augment, draw
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.experiment.training_runs import train_experiment
from skinlesion.params import SplitParams, TrainParams
from skinlesion.results.workspace import Workspace
from skinlesion.training import fit
from skinlesion.training.examples import PixelStore
from skinlesion.training.runs import Run
from tests.cuda.conftest import PLANNED, SMALL

ON_BOTH = [pytest.param(False, id="pretended"), pytest.param(True, id="real", marks=pytest.mark.gpu)]
#: What p1i and p2 change, beside flips.
AS_PUBLISHED = Augmentation(
    rotation=108, scale=(0.83, 1.25), scale_by_axis=True, brightness_shift=0.2, contrast=0.2, contrast_by_channel=True
)
FILM = TrainParams(**(SMALL | PLANNED | {"fusion": "film"}))


def train(folder, settings, name):
    train_experiment(Workspace(folder), settings, SplitParams(), folder / name, name)
    return [path.read_bytes() for path in sorted((folder / name).glob("*/weights.safetensors"))]


@pytest.mark.parametrize("real", ON_BOTH)
@pytest.mark.parametrize("augmentation", [PRESETS["flips"], PRESETS["dermoscopy"], AS_PUBLISHED])
def test_augmentation_is_the_cpus(augmentation, real, machine):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (8, 3, 32, 32), generator=generator).float()
    drawn = draw(augmentation, 8, generator)
    augmented = augment(pixels.to("cuda"), drawn).cpu()
    assert (augmented - augment(pixels, drawn)).abs().max() < 0.01  # grey levels


@pytest.mark.parametrize("real", ON_BOTH)
def test_probabilities_are_the_cpus(real, workspace_folder, machine):
    settings = TrainParams(**(SMALL | {"regime": "full", "fusion": "concat"}))
    train(workspace_folder, settings, "out")
    answers = []
    for device in ("cuda", "cpu"):
        inputs = Inputs(Workspace(workspace_folder), settings.model_copy(update={"device": device}), SplitParams())
        trained = TrainedRun.open(inputs, workspace_folder / "out", Run(0, 0))
        answers.append(trained.of_rows(inputs.rows(0, "test"))[0])
    np.testing.assert_allclose(*answers, atol=1e-3)
    assert answers[0].std(axis=0).max() > 1e-3


@pytest.mark.parametrize("real", ON_BOTH)
def test_images_in_gpu_memory_or_read_ahead_train_the_same(real, workspace_folder, machine, monkeypatch):
    resident = train(workspace_folder, FILM, "resident")
    original = PixelStore.__init__

    def streamed(self, images, device):
        original(self, images, device)
        assert self.resident is not None
        self.resident = None

    monkeypatch.setattr(PixelStore, "__init__", streamed)
    assert train(workspace_folder, FILM, "streamed") == resident


@pytest.mark.parametrize("real", ON_BOTH)
def test_cut_off_and_resumed_ends_in_the_same_bytes(real, workspace_folder, machine, monkeypatch):
    settings = FILM.model_copy(update={"finetune_epochs": 3, "ema_decay": 0.9})
    whole = train(workspace_folder, settings, "whole")
    epochs, original = [], fit._Loop.run_epoch

    def interrupted(self, state):
        if len(epochs) == 2:
            raise KeyboardInterrupt
        epochs.append(state.epoch)
        original(self, state)

    with monkeypatch.context() as patched:
        patched.setattr(fit._Loop, "run_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(workspace_folder, settings, "cut")
    assert train(workspace_folder, settings, "cut") == whole


@pytest.mark.gpu
def test_two_processes_on_one_gpu_train_what_one_does(workspace_folder, machine):
    settings = FILM.model_copy(update={"seeds": [0, 1]})
    single_process = train(workspace_folder, settings, "one")
    assert train(workspace_folder, settings.model_copy(update={"processes": 2}), "two") == single_process


@pytest.mark.gpu
def test_steps_do_not_wait(workspace_folder, machine, monkeypatch):
    """CUDA's own warnings of what the pretended device counts."""
    loop = fit._Loop._train

    def warn_on_synchronization(self, epoch, generator):
        torch.cuda.set_sync_debug_mode("warn")
        try:
            return loop(self, epoch, generator)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(fit._Loop, "_train", warn_on_synchronization)
    with warnings.catch_warnings(record=True) as caught_warnings:
        warnings.simplefilter("always")
        train(workspace_folder, FILM.model_copy(update={"finetune_epochs": 1}), "out")
    waits = [str(warning.message) for warning in caught_warnings if "synchronizing" in str(warning.message)]
    assert len(waits) <= 2, waits
