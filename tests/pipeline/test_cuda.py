"""The same pipeline on a CUDA device; skipped by default, run with `pytest -m gpu` where there is one."""

import json

import pytest

from tests.conftest import TINY


@pytest.mark.gpu
def test_train_and_evaluate_on_cuda(workspace_folder, run):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    flags = (
        "--backbone",
        TINY,
        "--weights",
        "none",
        "--fusion",
        "concat",
        "--set",
        "device=cuda",
        "--set",
        "input_size=48",
    )
    outcome = run("train", *flags, cwd=workspace_folder)
    assert outcome.code == 0, outcome.err
    folder = next((workspace_folder / "runs").iterdir())
    assert json.loads((folder / "fold0-seed0/run.json").read_text())["device"]["type"] == "cuda"
    first = (folder / "fold0-seed0/weights.safetensors").read_bytes()
    assert run("evaluate", "--models", str(folder), cwd=workspace_folder).code == 0
    (folder / "fold0-seed0/run.json").unlink()
    run("train", *flags, cwd=workspace_folder)
    assert (folder / "fold0-seed0/weights.safetensors").read_bytes() == first
