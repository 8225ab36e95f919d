"""Shared fixtures: a small prepared workspace, the command line in-process, the real archive where it lies."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import settings

from skinlesion import cli

ROOT = Path(__file__).parents[1]

# The default run draws the same cases every time; `make test-slow` draws others.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

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
        "effect": {"multimodal": None},
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
def prepared_template(tmp_path_factory) -> Iterator[Path]:
    """A workspace with params.yaml, prepared data and splits; a test that writes into it fails the session."""
    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace
    from skinlesion.stages.prepare import prepare
    from skinlesion.stages.split import split

    folder = tmp_path_factory.mktemp("workspace")
    params, workspace = load_params(write_params(folder, small_params())), Workspace(folder)
    prepare(params, workspace)
    split(params, workspace)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    yield folder
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    changed = sorted(str(path) for path, _ in before.items() ^ after.items())
    assert not changed, f"a test wrote into the template (it needs `workspace_folder`): {', '.join(changed)}"


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

    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace
    from skinlesion.stages.ensemble import ensemble
    from skinlesion.stages.evaluate import evaluate
    from skinlesion.stages.train import train

    shutil.copytree(template, folder)
    loaded, workspace = load_params(write_params(folder, params)), Workspace(folder)
    for name in loaded.experiments:
        train(loaded, workspace, name)
        evaluate(loaded, workspace, name)
    for name in loaded.ensembles:
        ensemble(loaded, workspace, name)
    return loaded, workspace


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real archive; skips where it is absent."""
    path = Path(os.environ.get("SKINLESION_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "ham10000" / "HAM10000_metadata.csv").exists():
        pytest.skip(f"no real HAM10000 in {path}; set SKINLESION_SHARED_DATA")
    return path


@pytest.fixture(scope="session")
def finished(prepared_template, tmp_path_factory) -> Path:
    """Two experiments and their ensemble: trained, evaluated, assessed, compared; not to be written into."""
    from skinlesion.stages.assess import assess
    from skinlesion.stages.stats import stats

    folder = tmp_path_factory.mktemp("finished") / "workspace"
    both = {"both": {"members": ["image", "concat"]}}
    wanted = small_params(train={"input_size": 64}, ensembles=both)
    params, workspace = trained_workspace(prepared_template, folder, wanted)
    for name in params.systems:
        assess(params, workspace, name)
    stats(params, workspace)
    return folder


@pytest.fixture(scope="session")
def reported(finished, tmp_path_factory) -> Path:
    """The finished workspace with audit, report, cards and a README with the table; not to be written into."""
    import shutil

    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace
    from skinlesion.stages.audit import audit
    from skinlesion.stages.effect import effect
    from skinlesion.stages.explain import explain_best
    from skinlesion.stages.metadata import metadata
    from skinlesion.stages.report import report, write_readme_table

    folder = tmp_path_factory.mktemp("reported") / "workspace"
    shutil.copytree(finished, folder)
    params, workspace = load_params(folder / "params.yaml"), Workspace(folder)
    audit(params, workspace)
    metadata(params, workspace)
    effect(params, workspace)
    explain_best(params, workspace)
    report(params, workspace)
    readme = folder / "README.md"
    readme.write_text("# Mine\n<!-- results:begin -->\n<!-- results:end -->\nThe rest.\n")
    write_readme_table(workspace, readme)
    return folder
