"""Every command on a CUDA device, for every case, on a pretended device and on a real one."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.cuda.conftest import CASES

ON_BOTH = [pytest.param(False, id="pretended"), pytest.param(True, id="real", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("real", ON_BOTH)
@pytest.mark.parametrize("name", CASES)
def test_train_evaluate_and_train_again(name, real, cuda_workspace, run, machine):
    for command in ("train", "evaluate"):
        outcome = run(command, "--experiment", name, cwd=cuda_workspace)
        assert outcome.code == 0, outcome.err
    folder = cuda_workspace / "models" / name / "fold0-seed0"
    assert json.loads((folder / "run.json").read_text())["device"]["type"] == "cuda"
    weights = (folder / "weights.safetensors").read_bytes()
    (folder / "run.json").unlink()
    assert run("train", "--experiment", name, cwd=cuda_workspace).code == 0
    assert (folder / "weights.safetensors").read_bytes() == weights
    if machine is not None:
        assert not machine.not_deterministic


@pytest.mark.parametrize("real", ON_BOTH)
@pytest.mark.parametrize("name", ["two_stage", "map", "concat"])
def test_predict_explain_and_dry_run(name, real, cuda_workspace, run, machine):
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(cuda_workspace / f"photograph{number}.png")
    commands = [
        ["train", "--experiment", name, "--dry-run"],
        ["train", "--experiment", name],
        ["evaluate", "--experiment", name],
        ["predict", ".", "--experiment", name, "--age", "50", "--cam", "cam", "--unlike"],
    ]
    for command in commands:
        outcome = run(*command, cwd=cuda_workspace)
        assert outcome.code == 0, outcome.err
    tested = pd.read_csv(cuda_workspace / f"reports/runs/{name}/predictions.csv")["image_id"][:2]
    image_flags = [text for image_id in tested for text in ("--image", image_id)]
    outcome = run("explain", "--experiment", name, *image_flags, cwd=cuda_workspace)
    assert outcome.code == 0, outcome.err


def test_what_a_gpu_trained_a_cpu_evaluates(cuda_workspace, run):
    """Device and version of torch were part of the fingerprint: `evaluate` elsewhere refused the run."""
    from tests.cuda.pretended import pretended_cuda

    with pretended_cuda():
        assert run("train", "--experiment", "concat", cwd=cuda_workspace).code == 0
    params = cuda_workspace / "params.yaml"
    params.write_text(params.read_text().replace("device: cuda", "device: cpu"))
    outcome = run("evaluate", "--experiment", "concat", cwd=cuda_workspace)
    assert outcome.code == 0, outcome.err
    notes = json.loads((cuda_workspace / "reports/runs/concat/notes.json").read_text())
    assert (notes["device"]["type"], notes["evaluated_with"]["device"]["type"]) == ("cuda", "cpu")
    described = json.loads((cuda_workspace / "models/concat/fold0-seed0/run.json").read_text())
    assert described["features_made_with"]["device"] == "cuda"


def test_the_device_is_printed_first(cuda_workspace, run, machine):
    outcome = run("train", "--experiment", "metadata_only", cwd=cuda_workspace)
    assert outcome.out.startswith("device: cuda, pretended\n")


def test_a_batch_too_large_is_one_line(cuda_workspace, run, machine, monkeypatch):
    import torch

    from skinlesion.experiment import evaluation

    assert run("train", "--experiment", "image", cwd=cuda_workspace).code == 0

    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(evaluation, "_of_role", full)
    outcome = run("evaluate", "--experiment", "image", cwd=cuda_workspace)
    assert outcome.code == 2
    assert re.fullmatch(r"error: CUDA out of memory; free .* train.device: cpu in params.yaml\n", outcome.err)
