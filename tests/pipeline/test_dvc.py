"""The pipeline under DVC, in a repository of its own: what reruns, what does not, and what a branch shows.

The package lies elsewhere, as if installed: the repository begins with dvc.yaml, params.yaml and ignored names alone.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, small_params, write_params

BIN = str(Path(sys.executable).parent)

#: `dvc status` where nothing is to be done: the code is looked at anew each time.
UP_TO_DATE = "code:\n\talways changed\n"


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory):
    """A copy of the package that every command here runs, to edit."""
    packages = tmp_path_factory.mktemp("packages")
    ignored = shutil.ignore_patterns("__pycache__")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(packages))
        yield shutil.copytree(ROOT / "skinlesion", packages / "skinlesion", ignore=ignored)


def call(folder, *command):
    environment = os.environ | {
        "PATH": BIN + os.pathsep + os.environ["PATH"],
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com",
        "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com",
    }  # fmt: skip
    completed = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def stages_run(output):
    """Return the stages that `dvc repro` ran, besides `code`, which always comes first."""
    stages = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
    assert stages[0] == "code"
    return stages[1:]


@pytest.fixture(scope="module")
def repository(tmp_path_factory, package):
    """A reproduced and committed pipeline: the real dvc.yaml on a 200-image phantom."""
    folder = tmp_path_factory.mktemp("repository")
    ensembles = {"both": {"members": ["image", "concat"], "method": "weighted"}}
    outside = {"name": "other", "source": "phantom", "path": "data/raw", "phantom": {"images": 150, "seed": 1}}
    changes = {
        "train": {"precision": "fp32", "device": "auto", "spatial_grid": None},
        "audit": {"replicates": 100},
        "assess": {"smallest_cases": 2},
        "explain": {"sanity_images": 10, "examples": 2},
        "external": [outside],
    }
    write_params(folder, small_params(data={"path": "data/raw"}, ensembles=ensembles, published=[], **changes))
    shutil.copy(package / "pipeline.yaml", folder / "dvc.yaml")
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    call(folder, "git", "init", "-q", "-b", "main")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "config", "core.analytics", "false")
    assert len(stages_run(call(folder, "dvc", "repro"))) == 19  # 2 × train, evaluate, assess, and one of each other
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "baseline")
    return folder


def test_a_second_repro_has_nothing_to_do(repository):
    assert stages_run(call(repository, "dvc", "repro")) == []
    assert call(repository, "dvc", "status") == UP_TO_DATE
    assert call(repository, "git", "status", "--short") == ""


def test_every_file_that_a_stage_writes_is_among_its_outputs(repository):
    """Others would be missing from a clone after `dvc pull`."""
    stages = yaml.safe_load((repository / "dvc.lock").read_text())["stages"].values()
    outputs = {Path(out["path"]) for stage in stages for out in stage.get("outs", [])}
    inputs_and_cache = {Path("data/known_pairs.csv"), Path("data/features")}
    written = [
        path.relative_to(repository)
        for folder in ("data", "models", "reports")
        for path in (repository / folder).rglob("*")
        if path.is_file() and path.name != ".gitkeep"  # `init` makes folders that DVC watches
    ]
    undeclared = [path for path in written if not {path, *path.parents} & (outputs | inputs_and_cache)]
    assert undeclared == []


def test_an_edit_of_the_code_reruns_what_it_reaches_and_a_comment_nothing(repository, package):
    for path in package.rglob("*.py"):
        path.write_text(f"# a comment\n{path.read_text()}")
    with (package / "report" / "tables.py").open("a") as stream:
        stream.write("\nWIDTH = 1\n")
    assert stages_run(call(repository, "dvc", "repro")) == ["report"]
    call(repository, "git", "commit", "-qam", "the same results by other code")

    losses = package / "models" / "losses.py"
    before = losses.read_text()
    losses.write_text(before + "\nWEIGHT = 1\n")
    call(repository, "skinlesion", "code")
    status = json.loads(call(repository, "dvc", "status", "--json"))
    losses.write_text(before)
    call(repository, "skinlesion", "code")
    del status["code"]
    assert set(status) == {"train@image", "train@concat"}
    assert all(
        {"changed deps": {"code.json": {name.partition("@")[0]: "modified"}}} in reasons
        for name, reasons in status.items()
    )


def test_git_holds_small_text_and_no_images_or_weights(repository):
    tracked = set(call(repository, "git", "ls-files").split())
    for name in ("split.json", "runs/image/metrics.json", "stats/stats.json", "stats/comparisons.csv"):
        assert f"reports/{name}" in tracked
    assert not [name for name in tracked if name.endswith((".npy", ".safetensors", "predictions.csv", ".html"))]


def test_results_from_the_phantom_say_synthetic(repository):
    page = (repository / "reports/report.html").read_text()
    assert "SYNTHETIC DATA" in page
    assert "SYNTHETIC" in (repository / "reports/results.md").read_text()
    assert json.loads((repository / "data/prepared/prepared.json").read_text())["synthetic"] is True
    assert "src=" not in page.replace('src="data:', "")  # self-contained: nothing is loaded
    assert "http" not in page.replace("http://www.w3.org", "").replace("https://doi.org", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons", "").replace("https://matplotlib.org", "")


@pytest.fixture(scope="module")
def changed_branch(repository):
    """A committed branch on which one experiment has another learning rate; return the stages that ran for it."""
    call(repository, "git", "switch", "-qc", "wider")
    path = repository / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["experiments"]["concat"]["lr"] = 0.05
    path.write_text(yaml.safe_dump(params))
    stages = stages_run(call(repository, "dvc", "repro"))
    call(repository, "git", "commit", "-qam", "a larger step")
    call(repository, "git", "switch", "-q", "main")
    call(repository, "dvc", "checkout")
    return stages


def test_one_changed_parameter_reruns_what_it_concerns_and_shows_in_a_clone_without_cache(
    repository, changed_branch, tmp_path
):
    stages = changed_branch
    assert stages[:2] == ["train@concat", "evaluate@concat"]
    assert set(stages[2:-1]) == {
        "assess@concat",
        "ensemble@both",
        "assess_ensemble@both",
        "metadata",
        "effect",
        "explain",
        "stats",
    }
    assert stages[-1] == "report"

    clone = tmp_path / "clone"
    call(tmp_path, "git", "clone", "-q", str(repository), str(clone))
    call(clone, "git", "switch", "-q", "wider")
    assert not (clone / "models").exists()
    changes = json.loads(call(clone, "dvc", "metrics", "diff", "origin/main", "--json"))
    assert "balanced_accuracy" in changes["reports/runs/concat/metrics.json"]
    assert "balanced_accuracy" in changes["reports/ensembles/both/metrics.json"]
    assert "conformal_coverage_lac" in changes["reports/assessments/concat/assessment.json"]
    assert "concat.gain_over_image_only" in changes["reports/metadata/metadata.json"]
    assert "reports/runs/image/metrics.json" not in changes


def test_diff_shows_the_experiment_that_changed_with_interval_and_verdict(repository, changed_branch):
    # The files of the branch as changes of main that are not committed: nothing has to run again.
    call(repository, "git", "switch", "-q", "-c", "compared", "wider")
    call(repository, "dvc", "checkout")
    call(repository, "git", "reset", "-q", "--soft", "main")
    uncommitted = call(repository, "skinlesion", "diff", "--replicates", "100")
    call(repository, "git", "commit", "-qam", "a much larger step")
    first_diff = call(repository, "skinlesion", "diff", "HEAD~1", "--replicates", "100")
    between = call(repository, "skinlesion", "diff", "HEAD~1", "HEAD", "--replicates", "100")
    for output, names in ((uncommitted, "HEAD"), (first_diff, "HEAD~1"), (between, "HEAD~1")):
        assert "== concat" in output
        assert "== both" in output
        assert f"− {names}" in output
        assert "clustered by lesion" in output
        assert "answers lost and gained" in output
        assert "image: unchanged" in output
        assert "== image" not in output
    texts = [(between, "HEAD"), (first_diff, "workspace")]
    assert len({text.replace("HEAD~1", "first").replace(name, "second") for text, name in texts}) == 1
    assert call(repository, "dvc", "status") == UP_TO_DATE  # results and cache are as they were
    for name in ("image", "concat"):
        assert (repository / f"reports/runs/{name}/predictions.csv").stat().st_size > 1000


def test_diff_reports_missing_predictions_and_an_unknown_revision(repository, tmp_path):
    clone = tmp_path / "clone"
    call(tmp_path, "git", "clone", "-q", str(repository), str(clone))
    output = call(clone, "skinlesion", "diff", "HEAD", "HEAD", "--replicates", "100")
    assert "HEAD concat: its predictions are neither in the DVC cache nor in a remote" in output
    completed = subprocess.run(
        [f"{BIN}/skinlesion", "diff", "nonsense"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 2
    assert "nonsense is not a revision" in completed.stderr
    assert "Traceback" not in completed.stderr


STAGE = '''"""hello: one line that names the data set."""

from skinlesion.data.store import PREPARED_NAME
from skinlesion.reading import read_json
from skinlesion.params import Params
from skinlesion.results.workspace import Workspace


def hello(params: Params, workspace: Workspace) -> None:
    """Write reports/hello.txt."""
    described = read_json(workspace.prepared / PREPARED_NAME, "run `skinlesion prepare` first")
    (workspace.reports / "hello.txt").write_text(f"{described['source']}\\n")
'''
ENTRY = """
  hello:
    cmd: skinlesion hello
    params: [{code.json: [hello]}]
    deps:
      - data/prepared/prepared.json
    outs:
      - reports/hello.txt
"""


def test_a_new_stage_is_a_module_and_an_entry_in_dvc_yaml(repository, package):
    module, pipeline = package / "stages" / "hello.py", repository / "dvc.yaml"
    before = pipeline.read_text()
    module.write_text(STAGE)
    pipeline.write_text(before + ENTRY)
    try:
        assert stages_run(call(repository, "dvc", "repro", "hello")) == ["hello"]
        assert (repository / "reports/hello.txt").read_text() == "phantom\n"
        assert stages_run(call(repository, "dvc", "repro", "hello")) == []
        assert "Write reports/hello.txt." in call(repository, "skinlesion", "--help")
    finally:
        module.unlink()
        pipeline.write_text(before)
