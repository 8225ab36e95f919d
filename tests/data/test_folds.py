"""The fold scheme: every image is tested once, and the number of folds is one edit."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from skinlesion.folds import FOLDS, PARTS, TEST_PARTS, TRAINING_PARTS, VALIDATION_PARTS, role_of
from tests.conftest import ROOT


def test_every_part_is_tested_in_one_fold_and_validates_in_at_most_one():
    by_part = [[role_of(part, fold) for fold in range(FOLDS)] for part in range(PARTS)]
    assert [roles.count("test") for roles in by_part] == [1] * PARTS
    assert [roles.count("validation") for roles in by_part] == [1, 0] * FOLDS
    for fold in range(FOLDS):
        roles = [role_of(part, fold) for part in range(PARTS)]
        shares = {role: roles.count(role) for role in ("test", "validation", "train")}
        assert shares == {"test": TEST_PARTS, "validation": VALIDATION_PARTS, "train": TRAINING_PARTS}
    assert (TEST_PARTS, VALIDATION_PARTS, TRAINING_PARTS) == (2, 1, 7)


@pytest.mark.parametrize(("folds", "invalid_fold"), [(4, 4), (6, 6)])
def test_another_number_of_folds_is_one_edit(workspace_folder, tmp_path, folds, invalid_fold):
    code = tmp_path / "code"
    shutil.copytree(ROOT / "skinlesion", code / "skinlesion", ignore=shutil.ignore_patterns("__pycache__"))
    module = code / "skinlesion/folds.py"
    module.write_text(module.read_text().replace("FOLDS = 5\n", f"FOLDS = {folds}\n"))

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "skinlesion", *arguments],
            cwd=workspace_folder, env=os.environ | {"PYTHONPATH": str(code)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    for command in ("prepare", "split"):  # the phantom has as many lesions of every class as there are parts
        outcome = run(command)
        assert outcome.returncode == 0, outcome.stderr
    parts = pd.read_csv(workspace_folder / "data/splits/image.csv")["part"]
    assert sorted(parts.unique()) == list(range(2 * folds))
    rejected = run("train", "--fold", str(invalid_fold), "--set", "weights=none")
    assert rejected.returncode == 2
    assert f"less than or equal to {folds - 1}" in rejected.stderr
