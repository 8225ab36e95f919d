"""diff between revisions that differ in the truth alone, that are older than the pipeline, or that are none."""

import subprocess

import pandas as pd
import pytest

from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS
from tests.conftest import small_params, write_params
from tests.faults.harness import check_refused
from tests.simulated import simulated

PIPELINE = """stages:
  evaluate:
    cmd: 'true'
    outs:
      - reports/runs/image/predictions.csv: {cache: false}
"""


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder, tag):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", tag)
    git(folder, "tag", tag)


def predictions():
    sample = simulated(40)
    columns = {
        "image_id": sample.image_ids, "lesion_id": sample.lesions, "dx": [CLASSES[label] for label in sample.labels],
        "fold": sample.folds[0], "seed": 0,
    }  # fmt: skip
    return pd.DataFrame(columns | dict(zip(PROBABILITY_COLUMNS, sample.probabilities[0].T, strict=True)))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with predictions; `other_dx` and `other_lesion` differ from `same` in the truth alone."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q")
    (folder / "readme").write_text("x")
    commit(folder, "before_dvc")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (folder / ".dvcignore").write_text("")
    write_params(folder, small_params())
    (folder / "dvc.yaml").write_text("stages: [3")
    commit(folder, "broken_pipeline")
    (folder / "dvc.yaml").write_text(PIPELINE)
    path = folder / "reports/runs/image/predictions.csv"
    path.parent.mkdir(parents=True)
    path.write_text("image_id,dx\na,nv\n")
    commit(folder, "broken_predictions")
    predictions().to_csv(path, index=False)
    commit(folder, "same")
    table = pd.read_csv(path)
    table.assign(dx=table["dx"].where(table["lesion_id"] != table["lesion_id"][0], "mel")).to_csv(path, index=False)
    commit(folder, "other_dx")
    lesions = table["lesion_id"].where(table["dx"] != "nv", "one large lesion")
    table.assign(lesion_id=lesions).to_csv(path, index=False)
    commit(folder, "other_lesion")
    predictions().to_csv(path, index=False)
    commit(folder, "now")
    return folder


def test_the_same_predictions_are_unchanged(repository, run):
    outcome = run("diff", "same", "now", "--replicates", "100", cwd=repository)
    assert "image: unchanged" in outcome.out, outcome
    assert outcome.code == 0


@pytest.mark.parametrize("revision", ["other_dx", "other_lesion"])
def test_another_truth_is_a_change(repository, run, revision):
    outcome = run("diff", revision, "now", "--replicates", "100", cwd=repository)
    assert outcome.code == 0, outcome
    assert "unchanged" not in outcome.out
    assert "image" in outcome.out


def test_predictions_that_cannot_be_read_are_named_by_revision(repository, run):
    outcome = run("diff", "broken_predictions", "now", "--replicates", "100", cwd=repository)
    assert outcome.code == 0, outcome
    assert "broken_predictions image: predictions.csv: column" in outcome.out


@pytest.mark.parametrize(
    "revision", ["broken_pipeline", "nonsense", " ", "--all", "HEAD~99", "a..b", "\x00", ":/", "@{"]
)
def test_what_is_no_revision_with_a_pipeline_is_refused(repository, run, revision):
    check_refused(run("diff", "--", revision, cwd=repository), "diff: ")


def test_a_revision_older_than_the_pipeline_has_no_experiments(repository, run):
    outcome = run("diff", "before_dvc", "now", "--replicates", "100", cwd=repository)
    assert outcome.code == 0, outcome
    assert "now image: only this revision has it" in outcome.out


def test_a_folder_created_after_the_revision(repository, run, tmp_path):
    """The .dvc folder lies below the repository's top and is not there in the older revision."""
    folder = tmp_path / "top"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "readme").write_text("x")
    commit(folder, "before")
    inner = folder / "inner"
    (inner / ".dvc").mkdir(parents=True)
    (inner / ".dvc/config").write_text("[core]\n    analytics = false\n")
    write_params(inner, small_params())
    commit(folder, "after")
    outcome = run("diff", "before", "after", "--replicates", "100", cwd=inner)
    check_refused(outcome, "before", "later revision")


def test_no_repository_at_all(tmp_path, run):
    write_params(tmp_path, small_params())
    check_refused(run("diff", cwd=tmp_path), "not in a DVC repository")
