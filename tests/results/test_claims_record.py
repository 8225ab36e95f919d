"""When claims and margins were fixed, as git recorded it: the last commit that changed them, before results or not."""

import os
import subprocess

import pytest

from skinlesion.results.claims_record import claims_record

PARAMS = """
train: {lr: %s}
stats: {primary: macro_f1, margins: {macro_f1: %s}}
claims:
  - {claim: c, a: x, b: y, direction: higher, source: s}
"""


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


def git(folder, *arguments, day=1):
    timestamp = f"2026-01-{day:02d}T12:00:00 +0000"
    identity = {f"GIT_{role}_{field}": "t@t" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
    times = {"GIT_AUTHOR_DATE": timestamp, "GIT_COMMITTER_DATE": timestamp}
    completed = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | identity | times, capture_output=True, text=True, check=True
    )
    return completed.stdout.strip()


def commit(folder, day, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x", day=day)
    return git(folder, "rev-parse", "HEAD")


def test_claims_that_stood_before_the_results(repository):
    first = commit(repository, 1, params_yaml=PARAMS % (0.1, 0.02))
    commit(repository, 2, metrics_json="{}")
    commit(repository, 3, params_yaml=PARAMS % (0.2, 0.02))  # neither claims nor margins
    record = claims_record(repository / "params.yaml", {"x": repository / "metrics.json"})
    assert (record.commit, record.committed, record.before_predictions) == (first, "2026-01-01", True)
    assert record.entries()["claims_commit"] == first


def test_a_margin_changed_after_the_results(repository):
    commit(repository, 1, params_yaml=PARAMS % (0.1, 0.02))
    commit(repository, 2, metrics_json="{}")
    later = commit(repository, 3, params_yaml=PARAMS % (0.1, 0.01))
    record = claims_record(repository / "params.yaml", {"x": repository / "metrics.json"})
    assert (record.commit, record.before_predictions) == (later, False)


def test_a_claim_that_is_added_later_makes_the_others_no_younger(repository):
    commit(repository, 1, params_yaml=PARAMS % (0.1, 0.02))
    commit(repository, 2, metrics_json="{}")
    added = "".join(f"  - {{claim: d, a: {a}, b: z, direction: higher, source: s}}\n" for a in "xz")
    later = commit(repository, 3, params_yaml=PARAMS % (0.1, 0.02) + added)
    commit(repository, 4, other_json="{}")
    paths = {name: repository / ("other.json" if name == "z" else "metrics.json") for name in "xyz"}
    record = claims_record(repository / "params.yaml", paths)
    assert (record.commit, record.before_predictions) == (later, False)
    assert record.stood_before == 2  # the first, and the last, which judges only what came after it


def test_results_that_are_not_committed_are_newer(repository):
    commit(repository, 1, params_yaml=PARAMS % (0.1, 0.02), metrics_json="{}")
    (repository / "metrics.json").write_text("{ }")
    (repository / "other.json").write_text("{}")
    paths = {"x": repository / "metrics.json", "y": repository / "other.json"}
    assert claims_record(repository / "params.yaml", paths).before_predictions is True


def test_a_branch_that_was_merged_does_not_hide_when_claims_were_fixed(repository):
    commit(repository, 1, params_yaml=PARAMS % (0.1, 0.03))
    git(repository, "switch", "-qc", "side")
    commit(repository, 4, params_yaml=(PARAMS % (0.1, 0.03)).replace("train", "# a note\ntrain"))
    git(repository, "switch", "-q", "main")
    fixed = commit(repository, 2, params_yaml=PARAMS % (0.1, 0.02))
    git(repository, "merge", "-q", "side", "-m", "m", day=5)
    assert "# a note" in (repository / "params.yaml").read_text()
    assert claims_record(repository / "params.yaml", {}).commit == fixed


def test_what_is_not_committed(repository):
    (repository / "params.yaml").write_text(PARAMS % (0.1, 0.02))
    assert claims_record(repository / "params.yaml", {}).note == "not committed"
    commit(repository, 1)
    (repository / "params.yaml").write_text(PARAMS % (0.1, 0.5))
    assert claims_record(repository / "params.yaml", {}).note == "not committed"


def test_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "params.yaml").write_text(PARAMS % (0.1, 0.02))
    record = claims_record(tmp_path / "params.yaml", {})
    assert (record.note, record.commit, record.before_predictions) == ("not in a git repository", "", None)


@pytest.mark.parametrize("former", [b"\xff\xfe", b"stats: [1]\n", b"stats: 3\nclaims: {}\n", b"[a]: 3\n", b"\x00", b""])
def test_a_former_params_file_may_be_anything(repository, former):
    (repository / "params.yaml").write_bytes(former)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "x", day=1)
    fixed = commit(repository, 2, params_yaml=PARAMS % (0.1, 0.02))
    assert claims_record(repository / "params.yaml", {}).commit == fixed
