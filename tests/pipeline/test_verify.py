"""verify passes on what the stages wrote, and fails when one digit of it is another."""

import json
import re
import shutil
import subprocess

import pytest


def change_one_digit(text: str, before: str) -> str:
    """Return the text with the first digit after `before` turned into the next."""
    place = text.index(before) + len(before)
    digit = re.compile(r"\d").search(text, place)
    assert digit is not None
    return text[: digit.start()] + str((int(digit[0]) + 1) % 10) + text[digit.end() :]


@pytest.mark.parametrize("quick", [True, False])
def test_everything_is_reproduced(reported, run, quick):
    outcome = run("verify", "--readme", "README.md", *(["--quick"] if quick else []), cwd=reported)
    assert outcome.code == 0, outcome.out + outcome.err
    assert "all figures were reproduced" in outcome.out


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("README.md", "(concat, onehot) | frozen | lesion, fold 0 only | 0."),
        ("reports/runs/concat/metrics.json", '"balanced_accuracy": 0.'),
        ("reports/cards/concat.md", "| balanced accuracy | 0."),
        ("reports/report.html", "The smallest differences that matter were fixed beforehand: 0."),
        ("reports/results.tex", "lesion, fold 0 only & 0."),
        ("reports/results.csv", "concat,"),
        ("reports/figures/claims.svg", "points</text>"),
    ],
)  # fmt: skip
def test_one_digit_edited_is_found(reported, run, tmp_path, name, before):
    folder = tmp_path / "workspace"
    shutil.copytree(reported, folder)
    path = folder / name
    path.write_text(change_one_digit(path.read_text(), before))
    outcome = run("verify", "--quick", "--readme", "README.md", cwd=folder)
    assert outcome.code == 2
    assert name in outcome.out
    assert "recomputed" in outcome.out
    assert "not those of the predictions" in outcome.err


def test_an_edited_prediction_is_found(reported, run, tmp_path):
    import pandas as pd

    folder = tmp_path / "workspace"
    shutil.copytree(reported, folder)
    path = folder / "reports/runs/image/predictions.csv"
    table = pd.read_csv(path)
    columns = [name for name in table if name.startswith("p_")]
    table.loc[0, columns] = [0.0] * 6 + [1.0]
    table.to_csv(path, index=False)
    outcome = run("verify", "--quick", cwd=folder)
    assert outcome.code == 2
    assert "reports/runs/image/metrics.json" in outcome.out


def test_what_git_knows_of_the_claims_is_no_difference(reported, run, tmp_path):
    """The history of params.yaml is not in the folder where everything is computed anew."""
    folder = tmp_path / "workspace"
    shutil.copytree(reported, folder)
    user = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "-q"), ("add", "params.yaml"), (*user, "commit", "-q", "-m", "claims")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    for command in ("stats", "report"):
        assert run(command, cwd=folder).code == 0
    assert len(json.loads((folder / "reports/stats/stats.json").read_text())["claims_commit"]) == 40
    outcome = run("verify", cwd=folder)
    assert outcome.code == 0, outcome.out
