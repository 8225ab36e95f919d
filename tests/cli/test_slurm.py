"""The job script of examples/slurm, run without SLURM: which experiment a task of the array trains."""

import os
import subprocess

import pytest

from skinlesion.params_file import load_params
from tests.conftest import ROOT, small_params, write_params

SCRIPT = ROOT / "examples/slurm/train.sbatch"
#: Stands in for the command: names two experiments, and says what else it is asked for.
STUB = '#!/bin/bash\nif [[ $1 == experiments ]]; then printf "image\\nconcat\\n"; else echo "asked: $*"; fi\n'


def test_experiments_are_listed_one_a_line(tmp_path, run):
    write_params(tmp_path, small_params())
    assert run("experiments", cwd=tmp_path).out.split() == list(load_params(tmp_path / "params.yaml").experiments)
    (tmp_path / "params.yaml").unlink()
    assert "no such file" in run("experiments", cwd=tmp_path).err


def test_folds_trained_one_by_one_are_the_experiment(workspace_folder, run):
    """A task for each fold: none removes what another has trained, and the experiment has nothing left to train."""
    write_params(workspace_folder, small_params(train={"folds": [0, 1]}))
    for fold in ("0", "1"):
        flags = ("--experiment", "concat", "--fold", fold, "--out", "models/concat")
        assert run("train", *flags, cwd=workspace_folder).code == 0
    weights = [workspace_folder / f"models/concat/fold{fold}-seed0/weights.safetensors" for fold in (0, 1)]
    before = [path.stat().st_mtime_ns for path in weights]
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    assert [path.stat().st_mtime_ns for path in weights] == before


@pytest.fixture
def task(tmp_path):
    stub = tmp_path / "skinlesion"
    stub.write_text(STUB)
    stub.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"

    def call(**slurm):
        return subprocess.run(
            ["bash", str(SCRIPT)], cwd=tmp_path, env=environment | slurm, capture_output=True, text=True, check=False
        )

    return call


def test_a_task_of_the_array_trains_its_experiment(task):
    for number, name in enumerate(("image", "concat")):
        assert task(SLURM_ARRAY_TASK_ID=str(number)).stdout == f"asked: train {name}\n"


def test_a_task_without_an_experiment_says_so(task):
    out_of_range = task(SLURM_ARRAY_TASK_ID="2")
    assert out_of_range.returncode == 2
    assert "params.yaml has 2 experiments, 0 to 1" in out_of_range.stderr
    missing_index = task()
    assert missing_index.returncode == 1
    assert "submit with --array" in missing_index.stderr
