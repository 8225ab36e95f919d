"""Arguments that are wrong, and what the operating system refuses: one line."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from skinlesion import cli
from skinlesion.atomic import replacing
from skinlesion.errors import UserError, one_line, printable, shorten, shown
from skinlesion.reading import read_csv, read_json, read_text
from tests.faults.harness import check_refused


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["frobnicate"], "No such command"),
        (["compare"], "Missing argument"),
        (["train", "--epochs", "3"], "No such option: --epochs"),
        (["compare", "a", "b", "--replicates", "9" * 5000], "--replicates"),
        (["compare", "a\x1b[31m\n" * 20, "b"], "no such file"),
        (["x" * 5000], "No such command"),
    ],
)
def test_wrong_arguments(tmp_path, run, arguments, part):
    check_refused(run(*arguments, cwd=tmp_path), part)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EISDIR, errno.EIO])
def test_what_the_system_refuses_names_the_path(tmp_path, run, monkeypatch, number):
    from skinlesion import params_file

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number), "some/where")

    monkeypatch.setattr(params_file, "load_params", fail)
    check_refused(run("prepare", cwd=tmp_path), "some/where", os.strerror(number))


def test_no_memory_is_one_line(tmp_path, run, monkeypatch):
    from skinlesion import params_file

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(params_file, "load_params", fail)
    check_refused(run("prepare", cwd=tmp_path), "out of memory")


def test_messages_are_printable_and_short():
    assert printable("a\x1b[2J\nb\u202e") == "a\\x1b[2J b\\u202e"
    assert len(shorten("x" * 1000)) == 80
    assert shorten("x" * 80) == "x" * 80
    assert len(shown("y" * 10**6)) <= 80
    deep: list = []
    for _ in range(10_000):
        deep = [deep]
    assert len(shown(deep)) <= 80
    assert shown(10**5000).startswith("an integer of ")
    assert "\n" not in one_line("a\nb")
    assert cli._of_system(OSError(errno.ENOSPC, "No space left on device")).startswith("No space left")


@pytest.fixture
def special_files(tmp_path):
    """Return a folder with paths that are no regular files."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize("read", [lambda path: read_text(path, "fix it"), lambda path: read_json(path, "fix it"),
                                  lambda path: read_csv(path, (), "fix it")])  # fmt: skip
@pytest.mark.parametrize("name", ["folder", "pipe", "loop", "missing", "folder/pipe/below", "n" * 300, "nu\0ll"])
def test_what_is_no_regular_file_is_refused(special_files, read, name):
    with pytest.raises(UserError, match="fix it"):
        read(special_files / name)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_devices_are_refused(path):
    with pytest.raises(UserError, match="device"):
        read_text(Path(path), "fix it")


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "3", "null", '"text"', '{"a": NaN}', "[" * 100_000, "9" * 5000, "\x00"]
)
def test_json_of_another_shape_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match="fix it"):
        read_json(tmp_path / "run.json", "fix it")


def test_json_is_returned_as_it_stands(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"a": 1, "b": [1.5, None]}))
    assert read_json(tmp_path / "run.json", "") == {"a": 1, "b": [1.5, None]}
    with pytest.raises(UserError, match="a: Input should be"):
        read_json(tmp_path / "run.json", "", dict[str, list[float]])


def test_partial_files_of_killed_processes_are_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, alive = tmp_path / f".a[1].csv.{ended.pid}.partial", tmp_path / f".a[1].csv.{os.getppid()}.partial"
    other = tmp_path / f".b.csv.{ended.pid}.partial"
    for path in (left, alive, other):
        path.write_text("")
    with replacing(tmp_path / "a[1].csv") as temporary:
        temporary.write_text("x")
    assert not left.exists()
    assert alive.exists()
    assert other.exists()


def test_sigterm_removes_partial_files(tmp_path):
    code = (
        "import time; from pathlib import Path; from skinlesion import cli; from skinlesion.atomic import replacing\n"
        "def stage(**_):\n"
        "    with replacing(Path('out.csv')) as temporary:\n"
        "        temporary.write_text('half'); print('ready', flush=True); time.sleep(60)\n"
        "cli.app = stage; cli.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []
