"""Training recorded by a tracker, which is replaced here by a module that records its calls."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pandas as pd
import pytest
import yaml

from skinlesion.experiment import training_runs
from skinlesion.params import Params, TrainParams
from skinlesion.params_file import load_params
from skinlesion.training.fit import fit
from skinlesion.training.runs import Run, fingerprint
from tests.conftest import ROOT, small_params, write_params
from tests.tracking import fakes

COLUMNS = ["train_loss", "train_accuracy", "validation_loss", "validation_balanced_accuracy"]


@pytest.fixture
def tracked_runs(monkeypatch):
    """Return what the replaced trackers recorded: one entry per run of a tracker."""
    runs = []
    for name in ("dvclive", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, name, getattr(fakes, name)(runs))
    return runs


def write_tracking_params(folder, live, **sections):
    train = {"folds": [0, 1], "epochs": 3, "patience": 3, "lr": 0.01} | sections.pop("train", {})
    write_params(folder, small_params(track={"live": live}, train=train, **sections))


def history(folder, name="fold0-seed0"):
    return pd.read_csv(folder / "models/concat" / name / "history.csv")


def assert_same(tracked, table):
    """Check a tracker's run against the rows of a history.csv."""
    assert [step for step, _ in tracked["epochs"]] == list(range(1, len(table) + 1))
    for (_, metrics), row in zip(tracked["epochs"], table.itertuples(), strict=True):
        for column in COLUMNS:
            assert metrics[f"{row.phase}/{column}"] == pytest.approx(getattr(row, column), rel=1e-12)
        assert metrics[f"{row.phase}/epoch"] == row.epoch


@pytest.mark.parametrize("tracker", ["dvclive", "mlflow", "wandb"])
def test_every_run_becomes_a_run_of_the_tracker_with_its_history(workspace_folder, run, tracked_runs, tracker):
    write_tracking_params(workspace_folder, tracker)
    outcome = run("train", "--experiment", "concat", cwd=workspace_folder)
    assert outcome.code == 0, outcome.err
    names = ["fold0-seed0", "fold1-seed0"]
    if tracker != "dvclive":
        names = [f"concat {name}" for name in names]
    assert [tracked["name"] for tracked in tracked_runs] == names
    for tracked, name in zip(tracked_runs, ("fold0-seed0", "fold1-seed0"), strict=True):
        assert_same(tracked, history(workspace_folder, name))
        assert tracked["settings"]["fusion"] == "concat"
        assert tracked["ended"] == "well"


def test_dvclive_writes_into_a_folder_of_its_own_and_leaves_git_and_dvc_alone(
    workspace_folder, run, tracked_runs, monkeypatch
):
    write_tracking_params(workspace_folder, "dvclive")
    monkeypatch.setenv("DVC_ROOT", "/elsewhere")  # as in `dvc exp run`, where DVCLive would add its folder to git
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    assert not any(tracked["sees_dvc"] for tracked in tracked_runs)
    assert os.environ["DVC_ROOT"] == "/elsewhere"
    assert [tracked["given"].pop("dir") for tracked in tracked_runs] == [
        f".live/concat/fold{fold}-seed0" for fold in (0, 1)
    ]
    assert tracked_runs[0]["given"] == {"save_dvc_exp": False, "dvcyaml": None, "report": None}
    subprocess.run(["git", "init", "-q", workspace_folder], check=True)
    for name in (".gitignore", ".dvcignore"):
        ignored = (ROOT / name).read_text()
        assert ".live" in ignored.replace("/\n", "\n").splitlines()
        (workspace_folder / name).write_text(ignored)
    ignored = subprocess.run(
        ["git", "check-ignore", ".live/concat/fold0-seed0/x.tsv"], cwd=workspace_folder, check=False
    )
    assert ignored.returncode == 0


def test_phases_and_candidates_are_distinguished(workspace_folder, run, tracked_runs):
    write_tracking_params(workspace_folder, "mlflow", train={"folds": [0], "regime": "two_stage", "finetune_epochs": 2})
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    assert_same(tracked_runs.pop(), history(workspace_folder))
    write_tracking_params(workspace_folder, "mlflow", train={"folds": [0], "tune": {"lr": [0.01, 0.02]}})
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    (tracked,) = tracked_runs
    assert [step for step, _ in tracked["epochs"]] == [1, 2, 3, 4, 5, 6]
    assert "head/train_loss" in tracked["epochs"][2][1]
    assert "1-head/train_loss" in tracked["epochs"][3][1]


def test_a_resumed_run_is_tracked_from_its_first_epoch(workspace_folder, run, tracked_runs, monkeypatch):
    write_tracking_params(workspace_folder, "mlflow", train={"folds": [0]})

    def cut_off(*args, report, **options):
        class Cut:
            def __getattr__(self, name):
                return getattr(report, name)

            def epoch(self, phase, epochs, row, seconds):
                report.epoch(phase, epochs, row, seconds)
                if row["epoch"] == 3:
                    raise KeyboardInterrupt

        return fit(*args, report=Cut(), **options)

    with monkeypatch.context() as patch:
        patch.setattr(training_runs, "fit", cut_off)
        assert run("train", "--experiment", "concat", cwd=workspace_folder).code != 0
    assert tracked_runs[0]["ended"] == "KeyboardInterrupt"
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    assert len(tracked_runs) == 2
    assert_same(tracked_runs[1], history(workspace_folder))


@pytest.mark.parametrize("failing_call", ["set_experiment", "start_run", "log_params", "log_metrics", "end"])
def test_a_tracker_that_fails_is_left_out_and_the_training_goes_on(
    workspace_folder, run, tracked_runs, monkeypatch, failing_call
):
    write_tracking_params(workspace_folder, None)
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    expected = (workspace_folder / "models/concat/fold1-seed0/weights.safetensors").read_bytes()
    write_tracking_params(workspace_folder, "mlflow", train={"checkpoint_seconds": 1})
    calls = []

    def raise_connection_error(*_, **__):
        calls.append(failing_call)
        raise ConnectionError("server gone\nand a long story")

    start = sys.modules["mlflow"].start_run

    @contextmanager
    def failing_run(run_name):
        with start(run_name):
            yield
        raise_connection_error()

    name, broken = ("start_run", failing_run) if failing_call == "end" else (failing_call, raise_connection_error)
    monkeypatch.setattr(sys.modules["mlflow"], name, broken)
    outcome = run("train", "--experiment", "concat", "--out", "again", cwd=workspace_folder)
    assert outcome.code == 0, outcome.err
    warnings = [line for line in outcome.err.splitlines() if "track.live" in line]
    assert warnings == ["track.live: mlflow failed (ConnectionError: server gone); training goes on without it"]
    assert len(calls) == 1
    assert (workspace_folder / "again/fold1-seed0/weights.safetensors").read_bytes() == expected


def test_a_missing_package_ends_the_command_before_anything_is_trained(workspace_folder, run, monkeypatch):
    for name in ("dvclive", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
        write_tracking_params(workspace_folder, name)
        outcome = run("train", "--experiment", "concat", cwd=workspace_folder)
        assert outcome.code == 2
        assert outcome.err.strip() == f"error: track.live: {name} is not installed; pip install 'skinlesion[{name}]'"
        assert not (workspace_folder / "models").exists()
    write_tracking_params(workspace_folder, "dvclve")  # a name that is no choice
    assert "track.live" in run("train", "--experiment", "concat", cwd=workspace_folder).err


def test_tracking_changes_no_fingerprint_and_no_stage(workspace_folder, run, tracked_runs):
    """No stage depends on the section, no fingerprint does, and finished runs stay."""
    text = (ROOT / "dvc.yaml").read_text()
    stages = yaml.safe_load(text)["stages"].values()
    assert not [name for stage in stages for name in stage.get("params", []) if str(name).startswith("track")]
    assert "live" not in TrainParams.model_fields
    write_tracking_params(workspace_folder, None)
    plain = load_params(workspace_folder / "params.yaml")
    assert run("train", "--experiment", "concat", cwd=workspace_folder).code == 0
    write_tracking_params(workspace_folder, "dvclive")
    tracked_params = load_params(workspace_folder / "params.yaml")
    prints = [fingerprint(params.experiment("concat"), Run(0, 0), {}) for params in (plain, tracked_params)]
    assert prints[0] == prints[1]
    assert plain.track.live is None
    assert tracked_params.track.live == "dvclive"
    outcome = run("train", "--experiment", "concat", cwd=workspace_folder)
    assert outcome.code == 0
    assert tracked_runs == []  # nothing was trained again
    assert Params().track.live is None


def test_only_the_first_of_several_training_processes_tracks(workspace_folder):
    write_tracking_params(workspace_folder, "mlflow", train={"folds": [0], "batch_norm": "frozen"})
    (workspace_folder / "mlflow.py").write_text(fakes.MLFLOW_ON_DISK)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29431",
        "-m", "skinlesion", "train", "--experiment", "concat",
    ]  # fmt: skip
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(workspace_folder), *sys.path]),
    }
    completed = subprocess.run(
        command, cwd=workspace_folder, capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert completed.returncode == 0, completed.stderr[-2000:]
    lines = (workspace_folder / "told.txt").read_text().splitlines()
    assert lines == ["concat fold0-seed0", "1", "2", "3"]
