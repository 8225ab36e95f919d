"""A disk that is full: one line that says how much is needed, nothing partial, nothing old destroyed."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from skinlesion import files
from skinlesion.data import array_files
from skinlesion.data.array_files import create_array, keep_rows
from skinlesion.errors import UserError
from skinlesion.reading import read_json
from tests.conftest import small_params, write_params
from tests.faults.harness import check_refused, snapshot


@contextmanager
def largest_file(size):
    """Let this process write no file of more than `size` bytes, as on a disk with that much room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path):
    """Return the folder of a disk of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_prepare_says_what_it_needs_and_leaves_nothing(workspace_folder, run):
    before = snapshot(workspace_folder)
    write_params(workspace_folder, small_params(data={"phantom": {"images": 300, "seed": 0, "metadata_signal": 1.0}}))
    with largest_file(300_000):
        outcome = run("prepare", cwd=workspace_folder)
    check_refused(outcome, "921,600 bytes are needed", "free space")
    assert snapshot(workspace_folder) | {"params.yaml": ""} == before | {"params.yaml": ""}


def test_prepare_on_a_full_disk_is_no_sigbus(small_disk):
    """In a process of its own, which a write to unallocated space would end by a signal."""
    write_params(small_disk, small_params())
    before = snapshot(small_disk)
    command = [sys.executable, "-m", "skinlesion", "prepare"]
    ended = subprocess.run(command, cwd=small_disk, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "bytes are needed" in ended.stderr
    assert snapshot(small_disk) == before


@pytest.mark.parametrize("free_bytes", [100, 20_000, 60_000])
def test_training_without_room_leaves_no_features(workspace_folder, run, free_bytes):
    for name in ("data/features", "models"):  # which another test may have left in the template
        shutil.rmtree(workspace_folder / name, ignore_errors=True)
    before = snapshot(workspace_folder)
    with largest_file(free_bytes):
        check_refused(run("train", "--experiment", "image", cwd=workspace_folder), "free space on the disk")
    after = snapshot(workspace_folder)
    assert before.items() <= after.items()
    assert not [name for name in after if name.endswith((".partial", ".lock"))]
    assert not [name for name in after if name.startswith("data/features") and free_bytes < 20_000]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    files.write_json(path, {"a": 1})
    with largest_file(1000), pytest.raises(OSError, match="File too large"):
        files.write_text(path, "x" * 5000)
    assert snapshot(tmp_path).keys() == {"metrics.json"}
    assert read_json(path, "") == {"a": 1}


@pytest.mark.parametrize("shape", [(10**9, 10**6), (2**40, 2**40), (5000, 100)])
def test_an_array_without_room_is_refused_and_removed(tmp_path, shape):
    with largest_file(100_000), pytest.raises(UserError, match=r"bytes are needed and .* are free"):
        create_array(tmp_path / "a.npy", np.uint8, shape)
    assert list(tmp_path.iterdir()) == []


def test_space_is_allocated_before_the_first_write(tmp_path):
    create_array(tmp_path / "a.npy", np.float32, (1000, 256))
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 1000 * 256 * 4


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_where_nothing_can_be_allocated_the_free_space_is_checked(tmp_path, monkeypatch, number):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", fail)
    assert create_array(tmp_path / "a.npy", np.uint8, (100, 10)).shape == (100, 10)
    usage = array_files.shutil.disk_usage(tmp_path)._replace(free=500)
    monkeypatch.setattr(array_files.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="1,000 bytes are needed and 500 are free"):
        create_array(tmp_path / "a.npy", np.uint8, (100, 10))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.03, 0.9, 1.0])
def test_rows_that_are_kept_are_those_of_a_new_file(tmp_path, share):
    rng = np.random.default_rng(0)
    content, keep = rng.integers(0, 255, (1000, 5, 4, 3), dtype=np.uint8), rng.random(1000) < share
    for name, rows in (("a.npy", content), ("b.npy", content[keep])):
        array = create_array(tmp_path / name, np.uint8, rows.shape) if len(rows) else None
        if array is not None:
            array[:] = rows
            array.flush()
    keep_rows(tmp_path / "a.npy", keep)
    assert (np.load(tmp_path / "a.npy") == content[keep]).all()
    if keep.any():
        assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert len(list(tmp_path.iterdir())) == 1 + keep.any()
