"""The search for a recipe of EfficientNet-Lite0 on two cores: what was tried, on validation images alone.

    cd examples/offline && skinlesion prepare && skinlesion split
    python ../../benchmarks/recipe.py [NAME ...]      # trains candidates that recipe.jsonl lacks, one thread each
    python ../../benchmarks/recipe.py --table         # writes recipe.md from recipe.jsonl

A candidate is trained on the training part of fold 0 and predicts its validation part; the test part is never read.
Some 1,000 images, of which 11 dermatofibromas, tell candidates apart by macro AUC and log loss rather than by balanced
accuracy or macro F1. The last two are also given at decision rules that were fitted on one half of the lesions and
applied to the other, ten times over.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "recipe.jsonl", HERE / "recipe.md"

#: What every candidate has unless it says otherwise.
BASE: dict[str, Any] = {
    "fusion": "none", "regime": "full", "optimizer": "adamw", "weight_decay": 0.05, "finetune_lr": 5e-4,
    "finetune_batch_size": 32, "finetune_epochs": 9, "schedule": "cosine", "warmup_epochs": 0.5, "ema_decay": 0.998,
    "augment": "dermoscopy", "class_weights": "none", "loss": "cross_entropy", "select": "last", "monitor": "macro_auc",
    "folds": [0], "seeds": [0], "repeats": [0], "checkpoint_seconds": 0,
}  # fmt: skip

_GROWS = {"resolutions": [96, 128, 160], "input_size": 160}

#: In the order in which they were tried.
CANDIDATES: dict[str, dict[str, Any]] = {
    "128 px throughout": {"input_size": 128, "finetune_epochs": 8},
    "96, 128, 160 px": _GROWS,
    "last 4 stages, 128 px": {"input_size": 128, "trainable_stages": 4},
    "last 4 stages, 96, 128, 160 px": _GROWS | {"trainable_stages": 4},
    "last 4 stages, lr 1e-3": {"input_size": 128, "trainable_stages": 4, "finetune_lr": 1e-3},
    "last 4 stages, MixUp, CutMix": {
        "input_size": 128, "trainable_stages": 4, "augment": {"preset": "dermoscopy", "mixup": 0.2, "cutmix": 1.0},
    },
    "last 4 stages, logit-adjusted loss": {"input_size": 128, "trainable_stages": 4, "loss": "logit_adjusted"},
    "last 5 stages, 128 px": {"input_size": 128, "trainable_stages": 5},
    "128, 160, 192 px": {"resolutions": [128, 160, 192], "input_size": 192},
    "lr 1e-3": _GROWS | {"finetune_lr": 1e-3},
    "MixUp, CutMix": _GROWS | {"augment": {"preset": "dermoscopy", "mixup": 0.2, "cutmix": 1.0}},
    "wide augmentation": _GROWS
    | {
        "augment": {
            "preset": "dermoscopy", "crop": 0.5, "rotation": 180,
            "brightness": 0.25, "contrast": 0.25, "saturation": 0.25,
        }
    },
    "logit-adjusted loss": _GROWS | {"loss": "logit_adjusted"},
    "balanced class weights": _GROWS | {"class_weights": "balanced"},
    "layer decay 0.8": _GROWS | {"finetune_lr": 1e-3, "layer_decay": 0.8},
}  # fmt: skip

_ROUNDS = 10


def values(labels: np.ndarray, probabilities: np.ndarray, lesions: np.ndarray) -> dict[str, float]:
    """Return the validation figures of one candidate."""
    from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, roc_auc_score

    answers = probabilities.argmax(axis=1)
    classes = range(probabilities.shape[1])
    return {
        "macro_auc": float(np.mean([roc_auc_score(labels == dx, probabilities[:, dx]) for dx in classes])),
        "nll": float(log_loss(labels, probabilities)),
        "balanced_accuracy": float(balanced_accuracy_score(labels, answers)),
        "macro_f1": float(f1_score(labels, answers, average="macro")),
        "balanced_accuracy_at_own_rule": _crossed(labels, probabilities, lesions, "balanced_accuracy"),
        "macro_f1_at_own_rule": _crossed(labels, probabilities, lesions, "macro_f1"),
    }


def _crossed(labels: np.ndarray, probabilities: np.ndarray, lesions: np.ndarray, objective: str) -> float:
    """Return a metric under rules fitted on one half of the lesions and applied to the other: the mean of halvings."""
    from sklearn.metrics import balanced_accuracy_score, f1_score

    from skinlesion.evaluation.decision_rules import fit_decision_rule

    scores = []
    for seed in range(_ROUNDS):
        rng, ids = np.random.default_rng(seed), np.unique(lesions)
        half = np.isin(lesions, ids[rng.permutation(len(ids)) < len(ids) // 2])
        answers = np.empty(len(labels), dtype=int)
        for fitted, applied in ((half, ~half), (~half, half)):
            rule = fit_decision_rule(objective, labels[fitted], probabilities[fitted])
            answers[applied] = rule.answers(probabilities[applied])
        score = balanced_accuracy_score(labels, answers)
        scores.append(score if objective == "balanced_accuracy" else f1_score(labels, answers, average="macro"))
    return float(np.mean(scores))


def measure(name: str, out: Path) -> dict[str, Any]:
    """Train a candidate and return its line of recipe.jsonl."""
    import torch

    from skinlesion.experiment.inputs import Inputs
    from skinlesion.experiment.trained_run import TrainedRun
    from skinlesion.experiment.training_runs import train_experiment
    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace
    from skinlesion.training.runs import Run

    torch.set_num_threads(1)
    params, workspace = load_params(Path("params.yaml")), Workspace(Path())
    settings = params.resolve(BASE | CANDIDATES[name] | {"processes": 2}, name)
    began = time.process_time()
    train_experiment(workspace, settings, params.split, out / name.replace(" ", "_").replace(",", ""), name)
    seconds = time.process_time() - began
    inputs = Inputs(workspace, settings, params.split)
    run = TrainedRun.open(inputs, out / name.replace(" ", "_").replace(",", ""), Run(0, 0))
    rows = inputs.rows(0, "validation")
    figures = values(inputs.labels[rows], run.of_rows(rows)[0], inputs.lesions[rows])
    return {
        "name": name,
        "settings": CANDIDATES[name],
        "core_minutes": round(seconds / 60, 1),
        "images": len(rows),
    } | figures


def read_results() -> list[dict[str, Any]]:
    """Return the lines of recipe.jsonl."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def page(lines: list[dict[str, Any]]) -> str:
    """Return recipe.md."""
    columns = (
        "macro_auc", "nll", "balanced_accuracy", "balanced_accuracy_at_own_rule", "macro_f1", "macro_f1_at_own_rule",
    )  # fmt: skip
    head = (
        "macro AUC", "log loss", "balanced accuracy", "at its own rule", "macro F1", "at its own rule",
    )  # fmt: skip
    rows = [
        f"| {line['name']} | {'–' if line['core_minutes'] is None else line['core_minutes']} | "
        + " | ".join(f"{line[name]:.3f}" for name in columns)
        + f" | `{json.dumps(line['settings'])}` |"
        for line in lines
    ]
    return "\n".join(
        [
            "# The search for a recipe",
            "",
            "Written by `python benchmarks/recipe.py --table` from recipe.jsonl. EfficientNet-Lite0, image alone, "
            f"HAM10000 at 256 px, fold 0 by lesion, its {lines[0]['images']:,} validation images; no test image was "
            "read. "
            "In the order tried; minutes are of one core, training and validation after each epoch.",
            "",
            "| candidate | core-minutes | " + " | ".join(head) + " | what differs |",
            "|---" * (len(head) + 3) + "|",
            *rows,
            "",
            f"All have: `{json.dumps(BASE)}`",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="Candidates; by default all that were not measured.")
    parser.add_argument("--out", type=Path, default=Path("runs/recipe"), help="Where they are trained.")
    parser.add_argument("--table", action="store_true", help="Only write recipe.md.")
    options = parser.parse_args()
    done = {line["name"] for line in read_results()}
    for name in [] if options.table else options.names or list(CANDIDATES):
        if name not in done:
            line = measure(name, options.out)
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
    PAGE.write_text(page(read_results()))


if __name__ == "__main__":
    main()
