"""init and demo: new workspaces, and the pipeline run in them with a line a stage."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skinlesion.errors import UserError
from skinlesion.params_file import load_params
from skinlesion.stages import demo as demo_stage
from skinlesion.stages.demo import demo
from skinlesion.stages.init import examples, init
from tests.conftest import ROOT

#: Stands in for DVC: two stages, the second cut off where FAIL is set.
DVC = """#!/bin/sh
if [ "$1" = stage ]; then echo prepare; echo train@image; exit; fi
if [ "$1" != repro ]; then exit 0; fi
echo "Stage 'prepare' didn't change, skipping"
echo "Running stage 'train@image':"
echo "> skinlesion train image"
echo "epoch 1"
if [ -n "$FAIL" ]; then echo "error: out of memory"; echo "ERROR: failed to reproduce 'train@image'"; exit 1; fi
echo "Use \\`dvc push\\` to send your updates to remote storage."
"""


@pytest.mark.parametrize("example", examples())
def test_a_workspace_is_complete_and_short(example, tmp_path):
    written = init(tmp_path / "new", example)
    assert sorted(path.name for path in written) == [".dvcignore", ".gitignore", "dvc.yaml", "params.yaml"]
    params = load_params(tmp_path / "new/params.yaml")
    assert {"image", "concat"} <= set(params.experiments)
    assert len((tmp_path / "new/params.yaml").read_text().splitlines()) < 60
    assert (tmp_path / "new/dvc.yaml").read_text() == (ROOT / "dvc.yaml").read_text()


def test_the_phantom_is_that_of_the_repository(tmp_path):
    """But for what is a judgement of the example: the costs of errors."""
    init(tmp_path / "new", "phantom")
    created, committed = (load_params(path / "params.yaml") for path in (tmp_path / "new", ROOT / "examples/phantom"))
    differing = {name for name in type(created).model_fields if getattr(created, name) != getattr(committed, name)}
    assert differing == {"assess"}


@pytest.mark.parametrize("example", examples())
def test_dvc_finds_every_parameter_that_it_tracks(example, tmp_path):
    """A short params.yaml has each section and field that dvc.yaml names."""
    from ruamel.yaml import YAML

    init(tmp_path / "new", example)
    yaml = YAML(typ="safe")
    params = yaml.load((tmp_path / "new/params.yaml").read_text())
    stages = yaml.load((tmp_path / "new/dvc.yaml").read_text())["stages"]
    names = {name for stage in stages.values() for name in stage.get("params", []) if isinstance(name, str)}
    for name in sorted(name for name in names if "$" not in name):
        place = params
        for part in name.split("."):
            assert part in place, name
            place = place[part]


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "params.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"has params.yaml already"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
    with pytest.raises(UserError, match="did you mean phantom"):
        init(tmp_path / "new", "fantom")
    assert not (tmp_path / "new").exists()


def test_git_and_dvc_are_initialised_when_asked(tmp_path):
    init(tmp_path / "new", git=True)
    assert (tmp_path / "new/.git").is_dir()
    assert (tmp_path / "new/.dvc/config").is_file()
    init(tmp_path / "plain", dvc=True)
    assert "no_scm = True" in (tmp_path / "plain/.dvc/config").read_text()


def test_nothing_is_written_where_dvc_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    for call in (lambda: init(tmp_path / "new", dvc=True), lambda: demo(tmp_path / "new", print)):
        with pytest.raises(UserError, match=r"dvc is not installed; pip install 'skinlesion\[train\]'"):
            call()
    assert not (tmp_path / "new").exists()


@pytest.fixture
def dvc(tmp_path, monkeypatch) -> Path:
    program = tmp_path / "dvc"
    program.write_text(DVC)
    program.chmod(0o755)
    monkeypatch.setattr(demo_stage, "find_program", lambda name: str(program))
    monkeypatch.setattr("skinlesion.stages.init.find_program", lambda name: str(program))
    return tmp_path


def test_a_demo_shows_a_line_a_stage_and_keeps_the_rest_in_a_log(dvc):
    texts: list[str] = []
    demo(dvc / "new", texts.append)
    assert "[2/2] train image …" in texts  # when it begins, not when it has ended
    printed = "".join(texts)
    (line,) = (line for line in printed.splitlines() if line.startswith("["))
    assert re.fullmatch(r"\[2/2\] train image … \d+\.\d s", line)
    assert "epoch" not in printed
    assert "push" not in printed
    assert "epoch 1" in (dvc / "new/demo.log").read_text()


def test_a_stage_that_fails_shows_its_last_lines(dvc, monkeypatch):
    monkeypatch.setenv("FAIL", "1")
    texts: list[str] = []
    with pytest.raises(UserError, match=r"a stage failed; all that was printed is in .*demo.log"):
        demo(dvc / "new", texts.append)
    printed = "".join(texts).splitlines()
    assert "  error: out of memory" in printed
    assert [line for line in printed if line.startswith("[")] == ["[2/2] train image …"]  # without a time


def test_the_notice_of_synthetic_data_comes_before_the_answer(dvc):
    init(dvc / "new")
    (dvc / "new/reports").mkdir()
    (dvc / "new/reports/headline.md").write_text("The answer.\n\n| a | table |\n|---|---|\n\nSYNTHETIC data.\n")
    texts: list[str] = []
    demo(dvc / "new", texts.append)
    assert "".join(texts).splitlines()[-2:] == ["SYNTHETIC data.", "The answer."]


def test_a_folder_of_something_else_is_refused(dvc):
    (dvc / "other").mkdir()
    (dvc / "other/photo.jpg").touch()
    with pytest.raises(UserError, match=r"is not empty and has no params\.yaml"):
        demo(dvc / "other", print)
    assert os.listdir(dvc / "other") == ["photo.jpg"]


def test_messages_in_an_empty_folder_lead_to_a_command_that_works_there(tmp_path):
    """What a message names can be run in the same folder."""
    completed = subprocess.run(
        [sys.executable, "-m", "skinlesion", "prepare"], cwd=tmp_path, capture_output=True, text=True
    )
    assert completed.returncode == 2
    assert "skinlesion init" in completed.stderr
