"""`skinlesion train --backbone …` in a folder with prepared data and nothing else; predictions that recompute."""

import json
import re
import shutil

import pandas as pd
import pytest

from skinlesion.analysis.summary import summarise
from skinlesion.evaluation.prediction_rows import COLUMNS
from skinlesion.evaluation.predictions import read_predictions
from skinlesion.params import EvaluateParams
from tests.conftest import TINY

FLAGS = ("--backbone", TINY, "--weights", "none", "--fusion", "concat", "--metadata", "onehot", "--set", "epochs=3")


@pytest.fixture
def prepared_folder(prepared_template, tmp_path):
    shutil.copytree(prepared_template / "data" / "prepared", tmp_path / "data" / "prepared")
    return tmp_path


def test_train_and_evaluate_with_flags_alone(prepared_folder, run):
    outcome = run(
        "train", *FLAGS, "--set", "input_size=32", "--fold", "0", "--fold", "1", "--set", "lr=1e-4", cwd=prepared_folder
    )
    assert outcome.code == 0, outcome.err
    assert "splitting by lesion with seed 0" in outcome.out
    assert re.search(r"^  fusion +concat$", outcome.out, re.MULTILINE)
    assert re.search(r"^  lr +0.0001$", outcome.out, re.MULTILINE)  # 1e-4 is a number, whatever YAML 1.1 thinks
    folder = next((prepared_folder / "runs").iterdir())
    assert sorted(path.name for path in folder.iterdir()) == ["fold0-seed0", "fold1-seed0"]
    described = json.loads((folder / "fold1-seed0/run.json").read_text())
    assert described["config"]["lr"] == 1e-4
    assert set(described) >= {
        "versions",
        "device",
        "seed",
        "fold",
        "best_epoch",
        "config",
        "fingerprint",
        "data",
    }

    assert "seconds" not in described  # which would change the hash of the folder
    assert json.loads((folder / "fold1-seed0/timing.json").read_text())["seconds"] > 0

    evaluated = run("evaluate", "--models", str(folder), cwd=prepared_folder)
    assert evaluated.code == 0, evaluated.err
    metrics = json.loads((folder / "metrics.json").read_text())
    predictions = pd.read_csv(folder / "predictions.csv")
    assert tuple(predictions.columns) == COLUMNS
    assert predictions.equals(predictions.sort_values(["repeat", "seed", "fold", "image_id"], ignore_index=True))
    assert f"{metrics['balanced_accuracy']:.4f}" in evaluated.out


def test_anyone_can_recompute_the_metrics_from_the_predictions(prepared_folder, run):
    run("train", *FLAGS, "--set", "input_size=32", cwd=prepared_folder)
    folder = next((prepared_folder / "runs").iterdir())
    run("evaluate", "--models", str(folder), cwd=prepared_folder)
    written = json.loads((folder / "metrics.json").read_text())
    recomputed, _ = summarise(read_predictions(folder / "predictions.csv")[0], EvaluateParams())
    assert set(written) - set(recomputed) == {"temperature"}
    for name, value in recomputed.items():
        assert written[name] == pytest.approx(value, abs=1e-12)
    assert all(isinstance(value, float) for value in written.values())  # flat scalars: dvc metrics diff shows each


def test_each_configuration_has_a_folder_of_its_own(prepared_folder, run):
    run("train", *FLAGS, "--set", "input_size=32", cwd=prepared_folder)
    run("train", *FLAGS, "--set", "input_size=32", "--set", "dropout=0.5", cwd=prepared_folder)
    run("train", *FLAGS, "--set", "input_size=32", "--seed", "1", cwd=prepared_folder)  # another run of the first
    assert sorted(len(list(folder.iterdir())) for folder in (prepared_folder / "runs").iterdir()) == [1, 2]


def test_evaluate_refuses_runs_of_other_data(prepared_folder, run):
    run("train", *FLAGS, "--set", "input_size=32", cwd=prepared_folder)
    folder = next((prepared_folder / "runs").iterdir())
    table = pd.read_csv(prepared_folder / "data/prepared/metadata.csv", keep_default_na=False)
    table.loc[0, "sex"] = "unknown" if table.loc[0, "sex"] != "unknown" else "male"
    table.to_csv(prepared_folder / "data/prepared/metadata.csv", index=False)
    outcome = run("evaluate", "--models", str(folder), cwd=prepared_folder)
    assert outcome.code == 2
    assert "trained from other parameters, data or code" in outcome.err
    assert not (folder / "metrics.json").exists()
