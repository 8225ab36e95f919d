"""Names in params.yaml are words of commands in dvc.yaml: none of them runs as a command of its own."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from skinlesion.errors import UserError
from skinlesion.params_file import load_params
from tests.conftest import ROOT, small_params, write_params
from tests.faults.harness import check_refused, snapshot

NAMES = [
    "x;touch PWNED", "$(touch PWNED)", "`touch PWNED`", "x & touch PWNED", "a'b;touch PWNED;'", '"; touch PWNED; "',
         "x | touch PWNED", "--help", "a b", "../x", "x\ntouch PWNED", "", "ä", "X", "n" * 65, "x>PWNED", "-",
]  # fmt: skip
QUOTED = [name for name in NAMES if name]  # DVC itself refuses an empty one
ENTRIES = {
    "experiments": lambda name: {name: {}},
    "ensembles": lambda name: {name: {"members": ["image"]}},
    "external": lambda name: [{"name": name, "source": "phantom", "path": "data/raw"}],
}


def written(folder: Path, section: str, name: str) -> Path:
    params = small_params(
        data={"path": "data/raw"}, train={"precision": "fp32", "device": "auto", "spatial_grid": None}, claims=[]
    ) | {"external": [], "ensembles": {}, "published": [], "audit": {}, "assess": {}, "explain": {}}
    entry = ENTRIES[section](name)
    params[section] = params[section] | entry if isinstance(entry, dict) else entry
    return write_params(folder, params)


@pytest.mark.parametrize("section", ENTRIES)
def test_the_stage_that_runs_first_refuses_odd_names(tmp_path, run, section):
    for name in NAMES:
        with pytest.raises(UserError, match=r"params\.yaml"):
            load_params(written(tmp_path, section, name))
    before = snapshot(tmp_path)
    check_refused(run("code", cwd=tmp_path), "params.yaml", section)
    assert snapshot(tmp_path) == before


def test_only_what_dvc_quotes_stands_in_a_command():
    """Except names that come after others: assess follows evaluate, and external the stage that checks them."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    single = {name for name, stage in stages.items() if "${item." in stage["cmd"]}
    assert single == {"external", "assess", "assess_ensemble"}


@pytest.fixture
def repository(tmp_path):
    """Return a folder with the pipeline, in which the stage `code` has run with good names."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    analytics = false\n    no_scm = true\n")
    return tmp_path


def resolved_commands(folder: Path) -> dict[str, str]:
    """Return the commands that DVC makes of dvc.yaml and params.yaml."""
    code = (
        "import json, sys\nfrom dvc.parsing import DataResolver\nfrom dvc.repo import Repo\nfrom dvc.utils.serialize "
        "import load_yaml\nresolver = DataResolver(Repo('.'), '.', load_yaml('dvc.yaml'))\n"
        "stages = resolver.resolve()['stages']\n"
        "print(json.dumps({name: stage['cmd'] for name, stage in stages.items()}))"
    )
    completed = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    return yaml.safe_load(completed.stdout)


@pytest.mark.slow
def test_dvc_quotes_the_names_of_experiments_and_ensembles(repository):
    params = yaml.safe_load(written(repository, "experiments", "image").read_text())
    params["experiments"] = {name: {} for name in QUOTED}
    params["ensembles"] = {name: {"members": []} for name in QUOTED}
    write_params(repository, params)
    commands = resolved_commands(repository)
    for name in QUOTED:
        for stage, *words in (
            ("train", "--experiment"), ("evaluate", "--experiment"), ("ensemble", "--name"),
        ):  # fmt: skip
            assert shlex.split(commands[f"{stage}@{name}"]) == ["skinlesion", stage, *words, name]


@pytest.mark.slow
@pytest.mark.parametrize("section", ENTRIES)
def test_dvc_repro_runs_no_command_of_a_name(repository, section):
    """With code.json in place, as after an earlier run."""
    written(repository, section, "x;touch PWNED")
    (repository / "data").mkdir()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    command = ["dvc", "repro"] if section == "external" else ["dvc", "repro", "--ignore-errors"]
    completed = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert "error: params.yaml: " + section in completed.stdout + completed.stderr
    assert not list(repository.rglob("PWNED"))
