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

from skinlesion.params.train import AugmentParams
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
    root_params = yaml.safe_load((ROOT / "params.yaml").read_text())
    size = 96 if "swin" in name else 64
    small_settings = {"input_size": size, "precision": "fp32", "device": "auto"}
    changes = {**(root_params["experiments"][name] or {}), **TWO_STEPS, **small_settings}
    changes["views"] = min(changes.get("views", 1), 2)
    params = small_params(
        experiments={name: changes}, claims=[], train=root_params["train"], evaluate={"replicates": 100}
    )
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
        for name, protocols in (
            (row.reproduced, {"published_80_20", "published_70_15_15"}),
            (row.validated, {"published_80_20_validated"}),
        ):
            if name is not None:
                assert PARAMS.experiment(name).protocol in protocols
                same = PARAMS.experiment(name).model_copy(update={"protocol": "lesion", "folds": [0, 1, 2, 3, 4]})
                assert same == PARAMS.experiment(row.honest)


#: Where the projects' notebooks say so: what is trained, how, and from which weights.
_KERAS = {"square": "squash_bilinear", "input_size": 224, "optimizer": "adam", "lr": 1e-3, "schedule": "constant"} | {
    "batch_size": 64, "epochs": 40, "patience": 5, "monitor": "nll", "loss_divisor": "images",
    "select": "best", "class_weights": "balanced", "regime": "frozen",
}  # fmt: skip
_HEAD = {
    "dropout": 0.3,
    "fusion_dropout": 0.4,
    "head_hidden": [64],
    "head_dropout": 0.0,
    "metadata_hidden": [32, 16],
    "metadata": "onehot_drop_first",
}
_RESNET = {
    "square": "squash_bicubic", "backbone": "resnet50.tv_in1k", "regime": "two_stage", "lr": 1e-3, "epochs": 100,
    "patience": 10, "batch_size": 32, "finetune_batch_size": 32, "finetune_epochs": 20, "dropout": 0.5,
    "head_dropout": 0.3, "class_weights": "balanced", "input_scaling": "p3", "monitor": "nll",
    "loss_divisor": "images", "select": "best", "finetune_select": "last", "batch_norm_momentum": 0.01,
}  # fmt: skip
#: Zoom of either axis by itself, brightness added, contrast about each channel's mean.
_AUGMENT = AugmentParams(
    flip=True, rotation=108, scale=(0.83, 1.25), scale_by_axis=True, brightness_shift=0.2, contrast=0.2,
    contrast_by_channel=True,
)  # fmt: skip
SETTINGS = {
    "p0": _KERAS | _HEAD | {"backbone": "convnext_small.fb_in1k", "fusion": "concat", "views": 1},
    "p1": _KERAS | _HEAD | {"backbone": "tf_efficientnet_b1.aa_in1k", "fusion": "concat", "views": 1},
    "p1i": _KERAS
    | {
        "backbone": "tf_efficientnet_b1.aa_in1k",
        "fusion": "none",
        "dropout": 0.2,
        "head_hidden": [],
        "augment": _AUGMENT,
    },
    "p2": _KERAS
    | {"backbone": "convnext_small.fb_in1k", "fusion": "none", "dropout": 0.2, "head_hidden": [], "augment": _AUGMENT},
    "p3_image": _RESNET | {"fusion": "none", "head_hidden": [128], "finetune_lr": 1e-4},
    "p3_multimodal": _RESNET
    | {"fusion": "concat", "image_hidden": [128], "head_hidden": [64], "finetune_lr": 1e-5, "metadata": "ordinal"}
    | {"metadata_hidden": [64, 64, 32], "metadata_batch_norm": 2, "metadata_layer_dropout": [0.3]},
}


@pytest.mark.parametrize("entry", SETTINGS)
def test_a_rebuild_has_the_settings_of_the_published_system(entry):
    row = next(row for row in PARAMS.published if row.entry == entry)
    settings = PARAMS.experiment(row.reproduced)
    assert {name: getattr(settings, name) for name in SETTINGS[entry]} == SETTINGS[entry]


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("p0_convnext_small_concat_published", "51,799"),
        ("p1_efficientnet_b1_concat_published", "84,567"),
        ("p1i_efficientnet_b1_image_published", "8,967"),
        ("p2_convnext_small_image_published", "5,383"),
    ],
)
def test_a_rebuild_has_as_many_trained_parameters(name, trained, workspace_folder, run):
    root_params = yaml.safe_load((ROOT / "params.yaml").read_text())
    changes = root_params["experiments"][name] | {"device": "auto"}
    write_params(workspace_folder, small_params(experiments={name: changes}, claims=[], train=root_params["train"]))
    outcome = run("train", "--experiment", name, "--set", "weights=none", "--dry-run", cwd=workspace_folder)
    assert outcome.code == 0, outcome.err
    assert f"{trained} parameters trained" in outcome.out


def test_both_arms_of_p3_run_at_both_rates():
    rates = {name: PARAMS.experiment(name).finetune_lr for name in PARAMS.experiments if name.startswith("p3_")}
    for arm in ("p3_resnet50_image", "p3_resnet50_concat", "p3_resnet50_concat_onehot"):
        assert {rate for name, rate in rates.items() if name in (arm, f"{arm}_slow", f"{arm}_fast")} == {1e-4, 1e-5}


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
