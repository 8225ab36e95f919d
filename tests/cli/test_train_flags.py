"""Every flag of `train` reaches the settings that are trained with."""

import inspect
import warnings

import pytest
import torch

from skinlesion.cli.training import _run_name, train
from skinlesion.params import RUN_FIELDS, TrainParams
from skinlesion.training.runs import NOT_IN_FINGERPRINT

#: Options of the command that are no field of `train`.
OTHERS = {"name", "option", "out", "settings", "dry_run", "params"}
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


def test_settings_that_change_no_result_change_no_fingerprint_and_no_folder():
    assert RUN_FIELDS | {"tta"} == NOT_IN_FINGERPRINT  # predictions, not weights, depend on tta
    plain = TrainParams()
    assert _run_name(plain.model_copy(update={"device": "cpu", "processes": 2})) == _run_name(plain)
    assert _run_name(plain.model_copy(update={"lr": 0.5})) != _run_name(plain)


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_of_train_changes_its_field_and_no_other(flag, run, tmp_path, monkeypatch):
    from skinlesion.stages import train as stage

    calls = []

    def record(params, workspace, experiment, *, settings, **others):
        calls.append(settings)
        return []

    monkeypatch.setattr(stage, "train", record)
    argument, field, expected = FLAGS[flag]
    assert run("train", f"--{flag}", argument, cwd=tmp_path).code == 0
    changed = {name: value for name, value in calls[0] if value != getattr(TrainParams(), name)}
    assert changed == {field: expected}


def test_one_fold_into_a_folder_leaves_the_others(workspace_folder, run):
    """An array job, one fold each into one folder, would have removed what the others trained."""
    for fold in ("0", "1"):
        flags = ("--experiment", "concat", "--fold", fold, "--out", "runs/shared")
        assert run("train", *flags, cwd=workspace_folder).code == 0
    assert sorted(path.name for path in (workspace_folder / "runs/shared").iterdir()) == ["fold0-seed0", "fold1-seed0"]


def test_auto_says_why_it_takes_the_cpu(workspace_folder, run, monkeypatch):
    from skinlesion.stages import train as stage

    def too_old():
        warnings.warn("The NVIDIA driver on your system is too old. (Triggered internally at x.cpp:1)", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    with monkeypatch.context() as patched:
        patched.setattr(stage, "train", lambda *_, **__: [])
        outcome = run("train", "--experiment", "image", cwd=workspace_folder)
    first = outcome.out.splitlines()[0]
    assert first.startswith("device: cpu, ")
    assert first.endswith("(The NVIDIA driver on your system is too old.)")
    cuda_outcome = run("train", "--set", "device=cuda", cwd=workspace_folder)
    assert cuda_outcome.code == 2
    assert "driver on your system is too old" in cuda_outcome.err


@pytest.mark.parametrize("regime", ["frozen", "two_stage", "full"])
def test_bf16_is_refused_where_it_is_emulated(regime, workspace_folder, run, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    flags = ("--regime", regime, "--set", "precision=bf16", "--out", "runs/x")
    outcome = run("train", *flags, cwd=workspace_folder)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "bf16 is emulated" in outcome.err


def test_dry_run_knows_the_images_and_what_is_cached(workspace_folder, run):
    flags = ("train", "--experiment", "image", "--dry-run")
    before = run(*flags, cwd=workspace_folder).out
    assert "200 images (as prepared)" in before
    assert "features of 200 images: once about" in before
    run("train", "--experiment", "image", cwd=workspace_folder)
    assert "features of 200 images: cached already" in run(*flags, cwd=workspace_folder).out
    augmented = ("--set", "views=2", "--set", "augment=flips")  # of which the plain view is none
    assert "features of 200 images: once about" in run(*flags, *augmented, cwd=workspace_folder).out
    (workspace_folder / "data/prepared/prepared.json").unlink()
    assert "10,015 images (HAM10000's, nothing is prepared here)" in run(*flags, cwd=workspace_folder).out
