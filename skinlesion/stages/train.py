"""train: every run (fold, seed) of one experiment, in one process."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from skinlesion.data.splits import roles
from skinlesion.files import write_csv, write_json
from skinlesion.models.classifier import FeatureClassifier
from skinlesion.models.metadata_encoders import MetadataEncoder, fit_encoder
from skinlesion.params import SplitParams, TrainParams
from skinlesion.progress import progress
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.workspace import Workspace
from skinlesion.training import runs
from skinlesion.training.checkpoint import CHECKPOINT_NAME
from skinlesion.training.features import resolve_device
from skinlesion.training.fit import Examples, Fitted, fit


@dataclass(frozen=True)
class RunSummary:
    """What became of one run; validation figures only, the test part is for `evaluate`."""

    fold: int
    seed: int
    skipped: bool
    best_epoch: int
    validation_balanced_accuracy: float


def train(
    settings: TrainParams,
    split: SplitParams,
    workspace: Workspace,
    out: Path,
    experiment: str,
    *,
    exclusive: bool = False,
) -> list[RunSummary]:
    """Train all runs of an experiment into `out`/fold<k>-seed<s>; complete ones are skipped, cut-off ones resumed.

    With `exclusive`, `out` holds these runs and no others: folders of folds and seeds not asked for are removed.

    Raises:
        UserError: the prepared data, the split, the backbone or its weights cannot be had.
    """
    # cuBLAS is deterministic only with a workspace of fixed size, set before CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    inputs = Inputs(workspace, settings, split)
    wanted = [(fold, seed) for fold in settings.folds for seed in settings.seeds]
    if exclusive:
        runs.prune(out, (runs.run_folder(out, fold, seed) for fold, seed in wanted))
    prints = {run: runs.fingerprint(settings, *run, inputs.hashes) for run in wanted}
    done = {run for run in wanted if runs.is_complete(runs.run_folder(out, *run), prints[run])}
    if len(done) < len(wanted):
        with progress(f"{experiment} runs", len(wanted), unit="runs", start=len(done)) as advance:
            for fold, seed, examples in _open_runs(inputs, wanted, done):
                folder = runs.run_folder(out, fold, seed)
                _train_run(folder, examples, inputs, prints[fold, seed], experiment, fold, seed)
                advance()
    return [_summary(out, fold, seed, (fold, seed) in done) for fold, seed in wanted]


@dataclass(frozen=True)
class _FoldExamples:
    train: Examples
    validation: Examples
    encoder: MetadataEncoder | None


def _open_runs(
    inputs: Inputs, wanted: list[tuple[int, int]], done: set[tuple[int, int]]
) -> Iterator[tuple[int, int, _FoldExamples]]:
    """Yield the runs still to do with their fold's examples, which seeds share."""
    loaded: tuple[int, _FoldExamples] | None = None
    for fold, seed in wanted:
        if (fold, seed) in done:
            continue
        if loaded is None or loaded[0] != fold:
            loaded = (fold, _fold_examples(inputs, fold))
        yield fold, seed, loaded[1]


def _fold_examples(inputs: Inputs, fold: int) -> _FoldExamples:
    role = roles(inputs.split["part"].to_numpy(), fold)
    rows = {name: np.flatnonzero(role == name) for name in ("train", "validation")}
    encoder = None
    if inputs.settings.fusion != "none":
        encoder = fit_encoder(inputs.settings.metadata, inputs.table.iloc[rows["train"]])
    device = resolve_device(inputs.settings.device)

    def examples(some: np.ndarray) -> Examples:
        metadata = None if encoder is None else torch.from_numpy(encoder.encode(inputs.table.iloc[some])).to(device)
        image = torch.from_numpy(inputs.features.array[some]).to(device)
        return Examples(image, metadata, torch.from_numpy(inputs.labels[some]).to(device))

    return _FoldExamples(examples(rows["train"]), examples(rows["validation"]), encoder)


def _train_run(
    folder: Path, examples: _FoldExamples, inputs: Inputs, print_: str, experiment: str, fold: int, seed: int
) -> None:
    runs.clear(folder)
    began = time.monotonic()
    encoder, settings = examples.encoder, inputs.settings
    width = inputs.features.array.shape[1]
    fitted = fit(
        lambda: FeatureClassifier(settings, width, encoder.width if encoder else 0),
        examples.train,
        examples.validation,
        settings,
        seed=(seed, fold),
        checkpoint=folder / CHECKPOINT_NAME,
        fingerprint=print_,
    )
    runs.save_weights(folder, fitted.state)
    write_csv(folder / runs.HISTORY_NAME, pd.DataFrame(fitted.history).astype({"epoch": int}))
    described = _describe(fitted, inputs, encoder, experiment)
    described |= {"fold": fold, "seed": seed, "fingerprint": print_, "seconds": round(time.monotonic() - began, 2)}
    write_json(folder / runs.RUN_NAME, described)  # last: its presence says the run is complete
    runs.finish(folder)


def _describe(fitted: Fitted, inputs: Inputs, encoder: MetadataEncoder | None, experiment: str) -> dict[str, Any]:
    best = fitted.history[fitted.best_epoch - 1]
    return {
        "experiment": experiment,
        "config": inputs.settings.model_dump(mode="json"),
        "data": inputs.hashes | {"source": inputs.described["source"], "synthetic": inputs.described["synthetic"]},
        "backbone": inputs.features.backbone,
        "metadata_encoder": None if encoder is None else encoder.state(),
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "validation_loss": fitted.best_loss,
        "validation_balanced_accuracy": best["validation_balanced_accuracy"],
        **runs.environment(resolve_device(inputs.settings.device)),
    }


def _summary(out: Path, fold: int, seed: int, skipped: bool) -> RunSummary:
    run = runs.read_run(runs.run_folder(out, fold, seed))
    return RunSummary(fold, seed, skipped, run["best_epoch"], run["validation_balanced_accuracy"])
