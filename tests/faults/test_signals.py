"""Commands that are terminated: nothing partial stays, what a killed one left is swept, workers end with the parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skinlesion.atomic import replacing
from tests.conftest import ROOT, small_params, write_params
from tests.faults.harness import snapshot

LARGE = {"phantom": {"images": 2000, "seed": 0, "metadata_signal": 1.0}}


def started(folder, *arguments):
    command = [sys.executable, "-m", "skinlesion", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(process, condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def partials(folder):
    return sorted(path.name for path in folder.rglob("*.partial"))


def test_prepare_that_is_terminated_leaves_nothing_and_what_a_killed_one_left_is_swept(tmp_path, run):
    write_params(tmp_path, small_params(data=LARGE))
    for number, left in ((signal.SIGKILL, 1), (signal.SIGTERM, 1)):
        process = started(tmp_path, "prepare")
        partial = f".images.npy.{process.pid}.partial"
        wait_for(process, lambda partial=partial: partial in partials(tmp_path))
        process.send_signal(number)
        _, output = process.communicate()
        assert "Traceback" not in output
        # The second command sweeps what the first one left before it makes its own.
        assert len(partials(tmp_path)) == (left if number == signal.SIGKILL else 0)
    assert process.returncode == 143
    assert not (tmp_path / "data/prepared/prepared.json").exists()
    write_params(tmp_path, small_params())
    assert run("prepare", cwd=tmp_path).code == 0
    assert set(snapshot(tmp_path / "data/prepared")) == {"images.npy", "metadata.csv", "files.csv", "prepared.json"}


@pytest.mark.parametrize("folder", [".", "examples/phantom", "examples/offline", "examples/fine_tuned"])
def test_dvc_does_not_see_partial_files(folder):
    assert "*.partial" in (ROOT / folder / ".dvcignore").read_text().splitlines()


def test_an_extraction_that_is_terminated_leaves_no_lock(workspace_folder, run, monkeypatch):
    from skinlesion.training import features

    def terminated(*args, **kwargs):  # as the handler of SIGTERM does
        raise SystemExit(143)

    monkeypatch.setattr(features, "forward", terminated)
    assert run("train", "--experiment", "image", cwd=workspace_folder).code == 143
    assert not [name for name in snapshot(workspace_folder) if name.endswith((".lock", ".partial"))]


def children(process):
    """Return the ids of a process's children."""
    ids = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process.pid:
            ids.append(int(path.parent.name))
    return ids


def is_alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_worker_processes_end_with_the_parent(workspace_folder, number):
    train = {"epochs": 10_000, "patience": 10_000, "seeds": [0, 1], "processes": 2, "checkpoint_seconds": 0}
    write_params(workspace_folder, small_params(train=train))
    process = started(workspace_folder, "train", "--experiment", "image")
    try:
        models = workspace_folder / "models/image"
        wait_for(process, lambda: len(list(models.glob("*/checkpoint-*.safetensors"))) == 2)
        workers = children(process)
        assert len(workers) >= 2
        process.send_signal(number)
        process.wait(timeout=60)
        deadline = time.monotonic() + 30
        while any(map(is_alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [worker for worker in workers if is_alive(worker)]
        assert number == signal.SIGKILL or not partials(workspace_folder)
    finally:
        for worker in children(process):
            os.kill(worker, signal.SIGKILL)
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_signal_right_after_the_file_is_made_leaves_nothing(tmp_path, monkeypatch):
    def terminated_touch(path, **options):  # as the handler of SIGTERM ends the process, wherever it is
        path.write_bytes(b"")
        raise SystemExit(143)

    monkeypatch.setattr(Path, "touch", terminated_touch)
    with pytest.raises(SystemExit), replacing(tmp_path / "images.npy"):
        pytest.fail("the block was entered")
    assert not list(tmp_path.iterdir())
