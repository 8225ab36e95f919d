"""Results handed to trackers, which stand in here as modules that remember what they were told."""

import json
import sys
import types
from contextlib import contextmanager

import pytest

from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace


@pytest.fixture
def mlflow(monkeypatch):
    told = {"runs": []}
    module = types.ModuleType("mlflow")
    module.set_experiment = lambda title: told.update(experiment=title)

    @contextmanager
    def start_run(run_name):
        told["runs"].append({"name": run_name, "files": []})
        yield

    module.start_run = start_run
    module.log_params = lambda values: told["runs"][-1].update(params=values)
    module.log_metrics = lambda values: told["runs"][-1].update(metrics=values)
    module.log_artifact = lambda path: told["runs"][-1]["files"].append(path)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return told


def test_every_system_becomes_a_run_with_its_figures(finished, run, mlflow):
    outcome = run("track", "mlflow", cwd=finished)
    assert outcome.code == 0, outcome.err
    assert [one["name"] for one in mlflow["runs"]] == load_params(finished / "params.yaml").systems
    params = load_params(finished / "params.yaml")
    for one in mlflow["runs"]:
        written = json.loads((Workspace(finished).system(params, one["name"]) / "metrics.json").read_text())
        assert {name: one["metrics"][name] for name in written} == written
        assert "ece_calibrated" in one["metrics"]
        assert len(one["files"]) == 1
    concat = next(one for one in mlflow["runs"] if one["name"] == "concat")
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
    assert all(one.ended and one.saved and "macro_auc" in one.summary for one in runs)


def test_what_cannot_be_tracked_is_said(workspace_folder, finished, run, monkeypatch):
    assert "no results here" in run("track", "mlflow", cwd=workspace_folder).err
    assert "did you mean mlflow" in run("track", "mlfow", cwd=finished).err
    monkeypatch.setitem(sys.modules, "mlflow", None)
    outcome = run("track", "mlflow", cwd=finished)
    assert outcome.code == 2
    assert "skinlesion[mlflow]" in outcome.err
