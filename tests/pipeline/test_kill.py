"""SIGKILL at any moment, then the same command again: the same weights, byte for byte."""

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.conftest import small_params, write_params
from tests.faults.harness import snapshot

TRAIN = [sys.executable, "-m", "skinlesion", "train", "--experiment", "concat"]


def checkpoints(folder):
    return list(folder.glob("models/concat/*/checkpoint-*.safetensors"))


def test_a_killed_training_ends_in_the_same_bytes(workspace_folder, tmp_path):
    import shutil

    # Enough epochs that kills fall into the loop; a checkpoint after every epoch.
    train = {"epochs": 60, "patience": 60, "batch_size": 8, "seeds": [0, 1]}
    write_params(workspace_folder, small_params(train=train))
    whole = tmp_path / "whole"
    shutil.copytree(workspace_folder, whole)
    subprocess.run(TRAIN, cwd=whole, check=True, capture_output=True)

    rng, killed_inside = random.Random(0), 0
    for _ in range(3):
        process = subprocess.Popen(TRAIN, cwd=workspace_folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started = time.time()
        while process.poll() is None and not any(
            path.stat().st_mtime > started for path in checkpoints(workspace_folder)
        ):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed_inside += bool(checkpoints(workspace_folder))
    assert killed_inside > 0  # at least one kill left a run half way
    subprocess.run(TRAIN, cwd=workspace_folder, check=True, capture_output=True)
    for seed in (0, 1):
        name = f"models/concat/fold0-seed{seed}/weights.safetensors"
        assert (workspace_folder / name).read_bytes() == (whole / name).read_bytes()
    assert not checkpoints(workspace_folder)


def test_ctrl_c_ends_with_one_line_and_the_same_command_goes_on(workspace_folder):
    write_params(workspace_folder, small_params(train={"epochs": 3000, "patience": 3000, "batch_size": 8}))
    process = subprocess.Popen(
        TRAIN,
        cwd=workspace_folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests themselves run in a shell's background, Ctrl-C is ignored and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while process.poll() is None and not checkpoints(workspace_folder):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in output
    assert output.strip().splitlines()[-1] == "interrupted; run the same command again to resume"
    assert checkpoints(workspace_folder)


def test_memory_that_runs_out_names_the_batch_and_what_to_try(workspace_folder, run, monkeypatch):
    import torch

    from skinlesion.experiment import training_runs

    def raise_out_of_memory(*args, **kwargs):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training_runs, "fit", raise_out_of_memory)
    outcome = run("train", "--regime", "full", "--set", "finetune_batch_size=48", cwd=workspace_folder)
    assert outcome.code == 2
    assert "train.finetune_batch_size: 48 images at 32 px do not fit" in outcome.err
    assert "try 24" in outcome.err


STEPS = (
    "prepare", "split", "train --experiment image", "train --experiment concat", "evaluate --experiment image",
    "evaluate --experiment concat", "stats",
)  # fmt: skip


def start(step, folder):
    return subprocess.Popen(
        [sys.executable, "-m", "skinlesion", *step.split()],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def finish(step, folder):
    """Run a step to its end; return the seconds of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start(step, folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def kill_after(seconds, process):
    """Kill a step when it has used so much processor time; return whether it was still at work."""
    with contextlib.suppress(psutil.Error):
        while sum(psutil.Process(process.pid).cpu_times()[:2]) < seconds and process.poll() is None:
            time.sleep(0.005)
    at_work = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return at_work


def results(folder):
    """Return the content of every file by name, without how long things took."""
    return {name: content for name, content in snapshot(folder).items() if not name.endswith("timing.json")}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_pipeline_that_is_killed_at_every_stage_ends_in_the_same_bytes(tmp_path, seed):
    """Seven kills for each seed, each followed by the same command again: 21 in all."""
    params = small_params(train={"epochs": 20, "patience": 20, "batch_size": 8})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    rng, inside = random.Random(seed), 0
    for folder in (whole, killed):
        folder.mkdir()
        write_params(folder, params)
    for step in STEPS:
        seconds = finish(step, whole)
        inside += kill_after(rng.uniform(0.2, 0.9) * seconds, start(step, killed))
        finish(step, killed)
        leftover = [name for name in snapshot(killed) if name.endswith((".partial", ".lock")) or "checkpoint" in name]
        assert leftover == []
    assert inside == len(STEPS)
    assert results(killed) == results(whole)
