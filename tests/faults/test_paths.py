"""Every argument, setting and environment variable that is a path, given what is no such file or folder: one line."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinlesion.atomic import replacing
from skinlesion.cli import use
from skinlesion.errors import UserError
from skinlesion.outputs import check_output, check_output_folder
from tests.conftest import small_params, write_params
from tests.faults.harness import cases, check_ended, check_refused, snapshot

#: Commands that read a file, {} being the path.
READ = {
    "params of prepare": "prepare --params {}",
    "params of train": "train --experiment image --params {}",
    "params of dashboard": "dashboard --params {}",
    "params of experiments": "experiments --params {}",
    "params of diff": "diff --params {}",
    "params of code": "code --params {}",
    "params of score": "score predictions.csv --params {}",
    "file of score": "score {}",
    "truth of score": "score predictions.csv --truth {}",
    "validation of score": "score predictions.csv --validation {}",
    "metadata of score": "score predictions.csv --validation predictions.csv --metadata {}",
    "file of compare": "compare predictions.csv {}",
    "truth of compare": "compare predictions.csv other.csv --truth {}",
    "file of retest": "retest {}",
    "archive of retest": "retest predictions.csv --archive {}",
    "pairs of retest": "retest predictions.csv --pairs {}",
    "image of predict": "predict {}",
    "table of predict": "predict photo.png --table {}",
    "readme of report": "report --readme {}",
    "readme of verify": "verify --readme {}",
    "weights of train": "train --weights {}.safetensors",
    "models of evaluate": "evaluate --models {}",
}

#: Commands that write a file or into a folder.
WRITE = {
    "out of pretrain": "pretrain --out {}.safetensors --epochs 1",
    "out of export": "export image --out {}.onnx",
    "out of train": "train --out {}",
    "out of evaluate": "evaluate --experiment image --out {}",
    "out of score": "score predictions.csv --validation predictions.csv --out {}",
    "out of retest": "retest predictions.csv --out {}",
    "out of fetch": "fetch ham10000 --out {}",
    "cam of predict": "predict photo.png --cam {}",
    "public of report": "report --public {}",
    "public of describe": "describe --public {}",
    "public of audit": "audit --public {}",
    "page of compare": "compare predictions.csv other.csv --html {}",
}

#: What stands in the place of a file to be read.
NO_FILE = (
    "folder", "folder/..", "pipe", "loop", "file/below", "/dev/null/x", "/dev/zero", "missing/file", "n" * 300, "\x00",
    "\udcff",
)  # fmt: skip
#: What cannot be written to, neither as a file nor as a folder.
NO_PLACE = ("file/below", "loop/x", "/dev/null/x", "/proc/x/y", "n" * 300 + "/x", "nowhere/x", "a\x00b/x", "pipe/x")


@pytest.fixture(scope="module")
def workspace(prepared_template, tmp_path_factory):
    """A prepared workspace with paths that are no regular files; tests check that nothing in it changes."""
    folder = tmp_path_factory.mktemp("paths") / "workspace"
    shutil.copytree(prepared_template, folder)
    write_special_files(folder)
    for name in ("predictions.csv", "other.csv"):
        text = "image_id,lesion_id,dx,p_akiec,p_bcc,p_bkl,p_df,p_mel,p_nv,p_vasc\n"
        rows = (f"i{n},l{n},{'mel' if n % 2 else 'nv'},0,0,0,0,0.5,0.5,0\n" for n in range(20))
        (folder / name).write_text(text + "".join(rows))
    (folder / "photo.png").write_bytes(b"")
    return folder


def write_special_files(folder):
    (folder / "folder").mkdir()
    (folder / "file").write_text("a file\n")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere").symlink_to("missing/folder")
    for ending in ("safetensors", "onnx"):
        (folder / f"folder.{ending}").mkdir()
        os.mkfifo(folder / f"pipe.{ending}")
        (folder / f"loop.{ending}").symlink_to(f"loop.{ending}")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    monkeypatch.setattr(use.os, "execv", lambda *command: pytest.fail("the dashboard was started"))


def call(run, folder, command, path):
    return run(*(part.replace("{}", path) for part in command.split()), cwd=folder)


@pytest.mark.parametrize("name", sorted(READ))
def test_what_is_no_file_is_refused(workspace, run, name):
    before = snapshot(workspace)
    for kind in NO_FILE:
        if kind == "folder" and name in ("image of predict", "models of evaluate", "file of retest"):
            continue  # folders are what these take
        check_refused(call(run, workspace, READ[name], kind))
    assert snapshot(workspace) == before


@pytest.mark.parametrize("name", sorted(WRITE))
def test_what_cannot_be_written_is_refused_before_the_work(workspace, run, monkeypatch, name):
    before = snapshot(workspace)
    for kind in NO_PLACE:
        check_refused(call(run, workspace, WRITE[name], kind), WRITE[name].split(" {}")[0].split()[-1])
    assert snapshot(workspace) == before


@pytest.mark.parametrize("name", ["out of pretrain", "out of export"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_a_file_takes_the_place_of_files_alone(workspace, run, name, kind):
    before = snapshot(workspace)
    check_refused(call(run, workspace, WRITE[name], kind), "--out")
    assert snapshot(workspace) == before


@pytest.mark.parametrize("name", ["out of train", "out of score", "cam of predict", "out of fetch"])
@pytest.mark.parametrize("kind", ["file", "pipe", "loop", "/dev/full", "predictions.csv"])
def test_a_folder_is_no_file(workspace, run, name, kind):
    before = snapshot(workspace)
    check_refused(call(run, workspace, WRITE[name], kind), WRITE[name].split(" {}")[0].split()[-1])
    assert snapshot(workspace) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_without_permission(workspace, tmp_path_factory):
    """As another user, because root may do everything."""
    folder = Path("/tmp") / f"skinlesion-permissions-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        (folder / "file").write_text("x")
        os.seteuid(65534)
        try:
            for check in (check_output, check_output_folder):
                with pytest.raises(UserError, match=r"--out .*Permission denied"):
                    check(folder / "new" / "file", "--out")
            with pytest.raises(UserError, match=r"Permission denied"), replacing(folder / "file"):
                pass
        finally:
            os.seteuid(0)
        assert snapshot(folder).keys() == {"file"}
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_place_that_refuses(workspace, run, monkeypatch, number):
    import tempfile

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    check_refused(call(run, workspace, WRITE["out of train"], "new"), "--out new", os.strerror(number))


@pytest.mark.parametrize("kind", ["missing", "file", "loop", "pipe", "/dev/null", "n" * 300, "folder"])
def test_the_environment_and_data_path(workspace, run, monkeypatch, kind):
    write_params(workspace, small_params(data={"source": "ham10000", "path": "raw", "download": False}))
    before = snapshot(workspace)
    monkeypatch.setenv("SKINLESION_DATA", str(workspace / kind))
    outcome = run("prepare", cwd=workspace)
    check_refused(outcome)
    (workspace / "raw/ham10000").unlink(missing_ok=True)
    assert snapshot(workspace) == before
    monkeypatch.delenv("SKINLESION_DATA")
    for source in ("ham10000", "folder", "isic_archive", "isic_challenge", "derm7pt", "pad_ufes_20"):
        write_params(workspace, small_params(data={"source": source, "path": kind, "download": False}))
        check_refused(run("prepare", cwd=workspace))
    for table in ("../file/x", "../pipe", "../loop", "a\x00b", "n" * 300):
        data = {"source": "folder", "path": "folder", "folder": {"table": table}}
        write_params(workspace, small_params(data=data))
        check_refused(run("prepare", cwd=workspace))
    write_params(workspace, small_params())


@pytest.mark.parametrize("kind", ["file", "loop", "/dev/null", "/proc", "n" * 300])
def test_a_cache_that_cannot_be_written(workspace, run, monkeypatch, kind):
    monkeypatch.setenv("SKINLESION_CACHE", str(workspace / kind))
    check_refused(run("train", "--experiment", "image", "--out", "new", cwd=workspace))
    shutil.rmtree(workspace / "new", ignore_errors=True)


@pytest.mark.parametrize(
    ("path", "kind"), [("data", "file"), ("data/prepared", "loop"), ("reports", "file"), ("reports", "loop")]
)
def test_a_workspace_in_which_a_file_stands_for_a_folder(tmp_path, run, path, kind):
    write_params(tmp_path, small_params())
    place = tmp_path / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(place.name)
    outcomes = [run(command, cwd=tmp_path) for command in ("prepare", "split", "describe")]
    for outcome in outcomes:
        check_ended(outcome)
    assert outcomes[-1].code == 2
    assert place.read_text() == "mine" if kind == "file" else place.is_symlink()


def test_files_follow_the_umask(tmp_path):
    import torch
    from safetensors.torch import save_file

    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "weights.safetensors") as temporary:
            save_file({"a": torch.zeros(2)}, temporary)
    finally:
        os.umask(before)
    assert (tmp_path / "weights.safetensors").stat().st_mode & 0o777 == 0o640


PART = st.one_of(
    st.sampled_from(
        ["folder", "file", "pipe", "loop", "nowhere", "..", ".", "~", "/", "", " ", "*", "-", "--", "n" * 256, "{}",
         "/dev/zero", "/dev/full", "/proc/self/mem", "\x1b[2J", "\u202e", "\udcff", "\n", "$(x)", "%s"]
    ),
    st.text(max_size=8),
)  # fmt: skip


def _paths_of_any_kind(examples):
    @cases(examples)
    @given(name=st.sampled_from(sorted(READ)), parts=st.lists(PART, min_size=1, max_size=4))
    def test(workspace, run, name, parts):
        before = snapshot(workspace)
        path = "/".join(parts)
        if (
            "{}" in path
            or path.startswith("-")
            or os.path.isdir(Path("/", path))
            or os.path.isdir(Path(workspace, path))
        ):
            return
        check_refused(call(run, workspace, READ[name], path))
        assert snapshot(workspace) == before

    return test


test_a_path_of_any_kind = _paths_of_any_kind(8)
test_many_paths_of_any_kind = pytest.mark.slow(_paths_of_any_kind(1500))
