"""Every flag of `train` reaches the settings that are trained with."""

import inspect

import pytest

from skinlesion.cli.training import train
from skinlesion.params import TrainParams

#: Options of the command that are no field of `train`.
OTHERS = {"experiment", "out", "settings", "dry_run", "params"}
FLAGS = {
    "backbone": ("resnet18", "backbone", "resnet18"),
    "weights": ("none", "weights", "none"),
    "regime": ("full", "regime", "full"),
    "fusion": ("film", "fusion", "film"),
    "metadata": ("ordinal", "metadata", "ordinal"),
    "protocol": ("image", "protocol", "image"),
    "fold": ("3", "folds", [3]),
    "seed": ("4", "seeds", [4]),
}


def test_every_option_of_train_is_a_field_of_train_or_named_here():
    assert set(inspect.signature(train).parameters) - OTHERS == set(FLAGS)
    assert {field for _, field, _ in FLAGS.values()} <= set(TrainParams.model_fields)


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_of_train_changes_its_field_and_no_other(flag, run, tmp_path, monkeypatch):
    from skinlesion.stages import train as stage

    calls = []

    def record(params, workspace, experiment, *, settings, **others):
        calls.append(settings)
        return []

    monkeypatch.setattr(stage, "train", record)
    given, field, expected = FLAGS[flag]
    assert run("train", f"--{flag}", given, cwd=tmp_path).code == 0
    changed = {name: value for name, value in calls[0] if value != getattr(TrainParams(), name)}
    assert changed == {field: expected}
