"""Training at growing resolutions: what the network sees, and what it is validated on."""

import pytest

from skinlesion.experiment.training_runs import train_experiment
from skinlesion.models.classifier import ImageClassifier
from skinlesion.params import SplitParams, TrainParams
from skinlesion.results.workspace import Workspace
from tests.conftest import TINY

SETTINGS = {
    "backbone": TINY, "weights": "none", "input_size": 64, "regime": "full", "finetune_epochs": 3,
    "resolutions": [32, 48],
}  # fmt: skip


def test_training_images_grow_and_validation_images_do_not(workspace_folder, monkeypatch):
    seen, original = [], ImageClassifier.forward

    def forward(self, image, metadata):
        seen.append((self.training, image.shape[-1]))
        return original(self, image, metadata)

    monkeypatch.setattr(ImageClassifier, "forward", forward)
    train_experiment(Workspace(workspace_folder), TrainParams(**SETTINGS), SplitParams(), workspace_folder / "x", "x")
    training = [side for is_training, side in seen if is_training]
    steps = len(training) // 3
    assert training == [32] * 2 * steps + [48] * steps
    assert {side for is_training, side in seen if not is_training} == {64}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regime": "frozen"}, "resolutions are those of fine-tuning"),
        ({"finetune_epochs": 1}, "more than finetune_epochs 1"),
    ],
)
def test_resolutions_need_epochs_of_fine_tuning(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainParams(**SETTINGS | changes)


def test_a_transformer_has_one_input_size(workspace_folder, run):
    flags = ("--backbone", "test_vit", "--weights", "none", "--regime", "full", "--set", "resolutions=[96,128]")
    outcome = run("train", *flags, "--out", "x", cwd=workspace_folder)
    assert outcome.code == 2
    assert outcome.err.startswith("error: train.resolutions: test_vit is built for one input_size")
