"""One run on two processes, and several runs on several devices, on the CPU."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from timm.layers import BatchNormAct2d

from skinlesion.errors import UserError
from skinlesion.experiment.training_runs import train_experiment, train_runs
from skinlesion.params import SplitParams, TrainParams
from skinlesion.results.workspace import Workspace
from skinlesion.training.runs import Run
from skinlesion.training.worker_processes import run_on_devices
from tests.conftest import ROOT, TINY

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


def torchrun(folder, port, *arguments):
    """Run `skinlesion ARGUMENTS` in two processes that train together."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port),
        "-m", "skinlesion", *arguments,
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, timeout=240, check=False
    )


def test_two_processes_train_what_one_does(workspace_folder, run):
    flags = [text for name, value in SETTINGS.items() for text in ("--set", f"{name}={str(value).lower()}")]
    flags = [text.replace(TINY.lower(), TINY) for text in flags]
    assert run("train", *flags, "--out", "runs/one", cwd=workspace_folder).code == 0
    completed = torchrun(workspace_folder, 29417, "train", *flags, "--out", "runs/two")
    assert completed.returncode == 0, completed.stderr[-2000:]
    assert completed.stdout.count("training into") == 1  # one process prints
    single_process, two_processes = (predictions(workspace_folder, run, name) for name in ("one", "two"))
    np.testing.assert_allclose(single_process, two_processes, atol=1e-4)
    assert (single_process.std(axis=0) > 1e-3).any()  # the predictions say something at all
    single_process, two_processes = (
        pd.read_csv(workspace_folder / f"runs/{name}/fold0-seed0/history.csv") for name in ("one", "two")
    )
    assert single_process["train_accuracy"].between(0.05, 0.95).all()
    # Shares of some 140 images: an image on the edge between two classes may fall on the other side.
    np.testing.assert_allclose(single_process["train_accuracy"], two_processes["train_accuracy"], atol=1.5 / 140)
    np.testing.assert_allclose(single_process["train_loss"], two_processes["train_loss"], rtol=1e-5)


def fails(message, share):
    raise UserError(f"{message} {share}")


def test_runs_spread_over_devices_are_the_runs_of_one(workspace_folder):
    settings = TrainParams(backbone=TINY, weights="none", input_size=32, folds=[0, 1], seeds=[0, 1], epochs=2)
    workspace = Workspace(workspace_folder)
    train_experiment(workspace, settings, SplitParams(), workspace_folder / "runs/one", "one")
    training_runs = [Run(fold, seed) for fold in (0, 1) for seed in (0, 1)]
    out = workspace_folder / "runs/two"
    run_on_devices(train_runs, (workspace, settings, SplitParams(), out, "two", None), training_runs, ["cpu", "cpu"])
    for training_run in training_runs:
        name = f"fold{training_run.fold}-seed{training_run.seed}/weights.safetensors"
        assert (out / name).read_bytes() == (workspace_folder / "runs/one" / name).read_bytes()


def test_a_user_error_in_a_process_is_raised():
    with pytest.raises(UserError, match=r"too large \["):
        run_on_devices(fails, ("too large",), [1, 2], ["cpu", "cpu"])


def is_killed_or_writes(folder, share):
    if share == [1]:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(3)
    (folder / "finished").touch()


def test_a_killed_process_leaves_the_others_to_finish(tmp_path):
    with pytest.raises(UserError, match="the process on cpu was killed"):
        run_on_devices(is_killed_or_writes, (tmp_path,), [1, 2], ["cpu", "second"])
    assert (tmp_path / "finished").exists()


def breaks(share):
    raise ZeroDivisionError(f"bug with {share}")


def test_a_bug_in_a_process_ends_with_its_traceback():
    with pytest.raises(ZeroDivisionError, match=r"bug with \[1\]") as caught:
        run_on_devices(breaks, (), [1], ["cpu", "cpu"])
    assert "in breaks" in str(caught.value.__cause__)  # the traceback of the process it happened in


WAITING = """
import os, sys, time
from pathlib import Path
from skinlesion.training.worker_processes import run_on_devices

def wait(folder, share):
    Path(folder, f"{os.getpid()}.started").touch()
    time.sleep(120)

if __name__ == "__main__":
    run_on_devices(wait, (sys.argv[1],), [0, 1], ["cpu", "cpu"])
"""


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGKILL"])
def test_processes_end_with_the_one_that_started_them(tmp_path, signal_name):
    """Ctrl-C reaches parent and children alike; a killed parent leaves no child that trains on."""
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    group = os.getpgid(parent.pid)
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.started"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        children = [int(path.stem) for path in tmp_path.glob("*.started")]
        assert len(children) == 2
        if signal_name == "SIGINT":
            os.killpg(group, signal.SIGINT)
        else:
            parent.kill()
        _, errors = parent.communicate(timeout=30)
        deadline = time.monotonic() + 30
        while any(map(is_running, children)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(is_running, children))
        assert errors.count("Traceback") == (1 if signal_name == "SIGINT" else 0)  # the parent's own KeyboardInterrupt
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def is_running(process: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("backbone", ["test_efficientnet", "densenet121"])
def test_shared_batch_statistics_keep_the_activations(backbone, monkeypatch):
    """torch's own conversion drops the activations that timm's normalisation layers carry."""
    from skinlesion.training.distributed import World

    model = timm.create_model(backbone, num_classes=0)
    before = [type(norm.act).__name__ for norm in model.modules() if isinstance(norm, BatchNormAct2d)]
    assert set(before) - {"Identity"}
    monkeypatch.setattr(torch.nn.parallel, "DistributedDataParallel", lambda module, **_: module)
    monkeypatch.setattr(torch.nn.Parameter, "is_cuda", True, raising=False)
    wrapped = World(0, 2).wrap(model)
    norms = [norm for norm in wrapped.modules() if isinstance(norm, torch.nn.SyncBatchNorm)]
    assert [type(norm.act).__name__ for norm in norms if hasattr(norm, "act")] == before


def test_two_processes_train_a_network_that_leaves_layers_unused(workspace_folder, run):
    """ConvNeXt's last normalisation stands behind the map that cross-attention looks at: it has no gradient."""
    settings = {
        "backbone": "test_convnext", "weights": "none", "input_size": 64, "regime": "full",
        "fusion": "cross_attention", "finetune_epochs": 1, "finetune_batch_size": 40,
    }  # fmt: skip
    flags = [text for name, value in settings.items() for text in ("--set", f"{name}={value}")]
    completed = torchrun(workspace_folder, 29418, "train", *flags, "--out", "runs/two")
    assert completed.returncode == 0, completed.stderr[-2000:]
