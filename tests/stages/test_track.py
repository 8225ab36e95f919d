"""Results sent to trackers, which are replaced here by modules that record their calls."""

import json
import sys
import types
from contextlib import contextmanager

import pytest

from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace


@pytest.fixture
def mlflow(monkeypatch):
    recorded = {"runs": []}
    module = types.ModuleType("mlflow")
    module.set_experiment = lambda title: recorded.update(experiment=title)

    @contextmanager
    def start_run(run_name):
        recorded["runs"].append({"name": run_name, "files": []})
        yield

    module.start_run = start_run
    module.log_params = lambda values: recorded["runs"][-1].update(params=values)
    module.log_metrics = lambda values: recorded["runs"][-1].update(metrics=values)
    module.log_artifact = lambda path: recorded["runs"][-1]["files"].append(path)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return recorded


def test_every_system_becomes_a_run_with_its_figures(finished, run, mlflow):
    outcome = run("track", "mlflow", cwd=finished)
    assert outcome.code == 0, outcome.err
    assert [run_record["name"] for run_record in mlflow["runs"]] == load_params(finished / "params.yaml").systems
    params = load_params(finished / "params.yaml")
    for run_record in mlflow["runs"]:
        written = json.loads((Workspace(finished).system(params, run_record["name"]) / "metrics.json").read_text())
        assert {name: run_record["metrics"][name] for name in written} == written
        assert "ece_calibrated" in run_record["metrics"]
        assert len(run_record["files"]) == 1
    concat = next(run_record for run_record in mlflow["runs"] if run_record["name"] == "concat")
    assert concat["params"]["fusion"] == "concat"
    assert mlflow["experiment"] == "test"


def test_wandb_gets_the_same(finished, monkeypatch):
    from skinlesion.stages.track import track

    runs = []

    class Run:
        def __init__(self, **given):
            self.given, self.summary, self.saved, self.ended = given, {}, [], False
            runs.append(self)

        def save(self, path, policy):
            self.saved.append(path)

        def finish(self):
            self.ended = True

    module = types.ModuleType("wandb")
    module.init = Run
    monkeypatch.setitem(sys.modules, "wandb", module)
    assert track(load_params(finished / "params.yaml"), Workspace(finished), "wandb") == len(runs) == 3
    assert all(tracked_run.ended and tracked_run.saved and "macro_auc" in tracked_run.summary for tracked_run in runs)


def test_what_cannot_be_tracked_is_reported(workspace_folder, finished, run, monkeypatch):
    assert "no results here" in run("track", "mlflow", cwd=workspace_folder).err
    assert "did you mean mlflow" in run("track", "mlfow", cwd=finished).err
    monkeypatch.setitem(sys.modules, "mlflow", None)
    outcome = run("track", "mlflow", cwd=finished)
    assert outcome.code == 2
    assert "skinlesion[mlflow]" in outcome.err
