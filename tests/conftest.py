"""Shared fixtures: a small prepared workspace, the command line in-process, the real archive where it lies."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from skinlesion import cli

ROOT = Path(__file__).parents[1]

#: A real architecture of 0.4 million parameters: everything runs through timm, quickly.
TINY = "test_resnet.r160_in1k"


def small_params(**sections: dict) -> dict:
    """Return params for a 200-image phantom at 32 px and a tiny random backbone; `sections` override fields."""
    params: dict = {
        "data": {"source": "phantom", "path": ".", "phantom": {"images": 200, "seed": 0, "metadata_signal": 1.0}},
        "prepare": {"image_size": 32, "on_error": "stop"},
        "split": {"seed": 0},
        "train": {
            "backbone": TINY,
            "weights": "none",
            "input_size": 32,
            "folds": [0],
            "epochs": 4,
            "batch_size": 32,
            "checkpoint_seconds": 0,
        },
        "evaluate": {"replicates": 100},
        "stats": {"replicates": 200},
        "report": {"title": "test"},
        "claims": [{"claim": "c", "a": "image", "b": "concat", "direction": "higher", "source": "s"}],
        "experiments": {"image": {}, "concat": {"fusion": "concat"}},
    }
    whole = {"experiments", "claims", "published", "external"}
    for name, fields in sections.items():
        params[name] = fields if name in whole else params.get(name, {}) | fields
    return params


def write_params(folder: Path, params: dict) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys, monkeypatch):
    """Run `skinlesion ARGS` in-process in a folder; return exit code and output."""

    def call(*args: str, cwd: Path) -> Outcome:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["skinlesion", *args])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def prepared_template(tmp_path_factory) -> Path:
    """A workspace with params.yaml, prepared data and splits; not to be written into."""
    from skinlesion.params import load_params
    from skinlesion.stages.prepare import prepare
    from skinlesion.stages.split import split
    from skinlesion.stages.workspace import Workspace

    folder = tmp_path_factory.mktemp("workspace")
    params, workspace = load_params(write_params(folder, small_params())), Workspace(folder)
    prepare(params.data, params.prepare, folder, workspace.prepared)
    split(params.split, workspace.prepared, workspace.splits, workspace.reports / "split.json")
    return folder


@pytest.fixture
def workspace_folder(prepared_template, tmp_path) -> Path:
    """A fresh copy of the prepared workspace."""
    import shutil

    folder = tmp_path / "workspace"
    shutil.copytree(prepared_template, folder)
    return folder


def trained_workspace(template: Path, folder: Path, params: dict):
    """Copy a prepared workspace to `folder`, train and evaluate every experiment of `params`, make its ensembles.

    Returns:
        The loaded parameters and the workspace.
    """
    import shutil

    from skinlesion.params import load_params
    from skinlesion.stages.ensemble import ensemble
    from skinlesion.stages.evaluate import evaluate
    from skinlesion.stages.train import train
    from skinlesion.stages.workspace import Workspace

    shutil.copytree(template, folder)
    loaded, workspace = load_params(write_params(folder, params)), Workspace(folder)
    for name in loaded.experiments:
        settings = loaded.experiment(name)
        train(settings, loaded.split, workspace, workspace.model(name), name)
        evaluate(settings, loaded.split, loaded.evaluate, workspace, workspace.model(name), workspace.results(name))
    for name, described in loaded.ensembles.items():
        ensemble(described, loaded.evaluate, workspace, workspace.ensemble(name))
    return loaded, workspace


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real archive; skips where it is absent."""
    path = Path(os.environ.get("SKINLESION_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "ham10000" / "HAM10000_metadata.csv").exists():
        pytest.skip(f"no real HAM10000 in {path}; set SKINLESION_SHARED_DATA")
    return path
