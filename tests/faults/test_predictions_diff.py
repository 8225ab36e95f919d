"""diff: what counts as unchanged, and revisions that hold no DVC repository."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from skinlesion.stages.diff import _same
from tests.conftest import small_params, write_params
from tests.faults.harness import check_refused
from tests.simulated import simulated


@pytest.mark.parametrize("name", ["lesions", "labels", "folds", "image_ids", "probabilities", "seeds"])
def test_only_what_says_the_same_of_everything_is_unchanged(name):
    whole = simulated(40)
    assert _same(whole, simulated(40))
    changed = (9,) if name == "seeds" else np.roll(getattr(whole, name), 1, axis=-1)
    if name == "folds":
        changed = changed + 1
    assert not _same(whole, replace(whole, **{name: changed}))


def test_a_revision_before_dvc(tmp_path, run):
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=n@n", *arguments], cwd=tmp_path, check=True)

    git("init", "-q", ".")
    (tmp_path / "README").write_text("x")
    git("add", ".")
    git("commit", "-qm", "before")
    folder = tmp_path / "sub"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text("")
    write_params(folder, small_params())
    git("add", ".")
    git("commit", "-qm", "after")
    check_refused(run("diff", "HEAD~1", cwd=folder), "HEAD~1", "take a later revision")
