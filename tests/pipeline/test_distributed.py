"""One run on two processes, and several runs on several devices, on the CPU."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from skinlesion.errors import UserError
from skinlesion.params import SplitParams, TrainParams
from skinlesion.stages.spread import spread
from skinlesion.stages.train import train, train_runs
from skinlesion.stages.workspace import Workspace
from tests.conftest import TINY

# No dropout and fixed batch statistics: the rest is the same arithmetic in another order.
SETTINGS = {
    "backbone": TINY, "weights": "none", "input_size": 32, "regime": "two_stage", "fusion": "concat", "dropout": 0.0,
    "head_dropout": 0.0, "batch_norm": "frozen", "epochs": 2, "finetune_epochs": 2, "finetune_batch_size": 30,
    "batch_size": 30, "augment": "dermoscopy", "record_dropout": 0.2, "clip_norm": 1.0,
}  # fmt: skip


def predictions(folder, run, name):
    assert run("evaluate", "--models", f"runs/{name}", cwd=folder).code == 0
    table = pd.read_csv(folder / f"runs/{name}/predictions.csv")
    return table[[column for column in table.columns if column.startswith("p_")]].to_numpy()


def test_two_processes_train_what_one_does(workspace_folder, run):
    flags = [text for name, value in SETTINGS.items() for text in ("--set", f"{name}={str(value).lower()}")]
    flags = [text.replace(TINY.lower(), TINY) for text in flags]
    assert run("train", *flags, "--out", "runs/one", cwd=workspace_folder).code == 0
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29417",
        "-m", "skinlesion", "train", *flags, "--out", "runs/two",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        command, cwd=workspace_folder, capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stdout.count("training into") == 1  # one process speaks
    one, two = (predictions(workspace_folder, run, name) for name in ("one", "two"))
    np.testing.assert_allclose(one, two, atol=1e-4)
    assert (one.std(axis=0) > 1e-3).any()  # the predictions say something at all


def fails(message, share):
    raise UserError(f"{message} {share}")


def test_runs_spread_over_devices_are_the_runs_of_one(workspace_folder):
    settings = TrainParams(backbone=TINY, weights="none", input_size=32, folds=[0, 1], seeds=[0, 1], epochs=2)
    workspace = Workspace(workspace_folder)
    train(settings, SplitParams(), workspace, workspace_folder / "runs/one", "one")
    todo = [(fold, seed) for fold in (0, 1) for seed in (0, 1)]
    out = workspace_folder / "runs/two"
    spread(train_runs, (settings, SplitParams(), workspace, out, "two"), todo, ["cpu", "cpu"])
    for fold, seed in todo:
        name = f"fold{fold}-seed{seed}/weights.safetensors"
        assert (out / name).read_bytes() == (workspace_folder / "runs/one" / name).read_bytes()


def test_a_mistake_in_a_process_is_the_users_to_see():
    with pytest.raises(UserError, match=r"too large \["):
        spread(fails, ("too large",), [1, 2], ["cpu", "cpu"])
