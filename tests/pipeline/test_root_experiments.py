"""Every published system of the root params.yaml builds, trains two steps and evaluates, on the phantom.

Small ones in every run of the tests, all of them with `make test-slow`. Weights are random: nothing is fetched.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import balanced_accuracy_score

from skinlesion.params_file import load_params
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS
from tests.conftest import ROOT, small_params, write_params

PARAMS = load_params(ROOT / "params.yaml")
#: 140 training images: 70 a batch make two steps an epoch.
TWO_STEPS = {
    "weights": "none", "folds": [0], "seeds": [0], "batch_size": 70, "finetune_batch_size": 70, "epochs": 1,
    "finetune_epochs": 1, "checkpoint_seconds": 1e9,
}  # fmt: skip
#: One of each regime and fusion on the backbones that a small image costs least.
QUICK = {"p1_efficientnet_b1_concat", "p3_resnet50_concat", "p4_swin_tiny_cross_attention"}


def takes_two_steps(name, folder, run):
    """Train two steps and evaluate."""
    own = yaml.safe_load((ROOT / "params.yaml").read_text())
    size = 96 if "swin" in name else 64
    anywhere = {"input_size": size, "precision": "fp32", "device": "auto"}
    changes = {**(own["experiments"][name] or {}), **TWO_STEPS, **anywhere}
    changes["views"] = min(changes.get("views", 1), 2)
    params = small_params(experiments={name: changes}, claims=[], train=own["train"], evaluate={"replicates": 100})
    write_params(folder, params)
    outcome = run("train", "--experiment", name, cwd=folder)
    assert outcome.code == 0, outcome.err
    outcome = run("evaluate", "--experiment", name, cwd=folder)
    assert outcome.code == 0, outcome.err
    # scikit-learn recomputes the figure from the predictions of the 7 classes that were written.
    metrics = json.loads((folder / f"reports/runs/{name}/metrics.json").read_text())
    predictions = pd.read_csv(folder / f"reports/runs/{name}/predictions.csv")
    answers = np.array(CLASSES)[predictions[list(PROBABILITY_COLUMNS)].to_numpy().argmax(axis=1)]
    assert len(set(predictions["p_nv"])) > 1, "every image has the same prediction"
    assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(predictions["dx"], answers))


@pytest.mark.parametrize("name", sorted(QUICK))
def test_a_quick_experiment_takes_two_steps(name, workspace_folder, run):
    takes_two_steps(name, workspace_folder, run)


@pytest.fixture(scope="module")
def shared_folder(prepared_template, tmp_path_factory):
    """One workspace for all, so that experiments on the same backbone share its features."""
    folder = tmp_path_factory.mktemp("root") / "workspace"
    shutil.copytree(prepared_template, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(PARAMS.experiments) - QUICK))
def test_every_experiment_takes_two_steps(name, shared_folder, run):
    takes_two_steps(name, shared_folder, run)


def test_every_published_system_has_its_experiments():
    """Five projects; each row of the table names what reproduces it."""
    assert {row.system[:2] for row in PARAMS.published} == {"p0", "p1", "p2", "p3", "p4"}
    for row in PARAMS.published:
        assert row.honest is not None
        if row.reproduced is not None:
            assert PARAMS.experiment(row.reproduced).protocol == "image"
            same = PARAMS.experiment(row.reproduced).model_copy(update={"protocol": "lesion"})
            assert same == PARAMS.experiment(row.honest)


def test_a_dry_run_says_what_would_be_trained(workspace_folder, run):
    outcome = run("train", "--backbone", "convnext_small", "--weights", "none", "--dry-run", cwd=workspace_folder)
    assert outcome.code == 0, outcome.err
    assert "5,383 parameters trained, 49,454,688 frozen" in outcome.out
    assert not (workspace_folder / "runs").exists()
    flags = ("--regime", "two_stage", "--fusion", "cross_attention", "--set", "trainable_stages=1")
    outcome = run("train", *flags, "--dry-run", cwd=workspace_folder)
    assert "fine_tuning" in outcome.out
    assert "fused (cross_attention)" in outcome.out
    head, tuned = (line for line in outcome.out.splitlines() if "parameters trained" in line)
    assert head != tuned
