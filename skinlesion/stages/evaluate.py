"""evaluate: out-of-fold predictions of an experiment, and every metric with its interval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.evaluation.predictions import COLUMNS, FLOAT_FORMAT
from skinlesion.files import write_csv, write_json
from skinlesion.interpret.masking import PERMUTED, exchange_records, masked_metadata, probabilities_by_version
from skinlesion.models.metadata_encoders import MetadataEncoder
from skinlesion.params import EvaluateParams, SplitParams, TrainParams
from skinlesion.progress import progress
from skinlesion.stages.contracts import (
    HISTORY_NAME,
    MASKED_COLUMNS,
    MASKED_NAME,
    METRICS_NAME,
    NOTES_NAME,
    PREDICTIONS_NAME,
    VALIDATION_NAME,
)
from skinlesion.stages.external import OutsideData, write_external
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.results import write_results
from skinlesion.stages.trained import checked_run, predict_rows, restore
from skinlesion.stages.workspace import Workspace
from skinlesion.training import runs
from skinlesion.training.memory import keep_freed_memory
from skinlesion.vocabulary import PROBABILITY_COLUMNS


def evaluate(
    train: TrainParams,
    split: SplitParams,
    settings: EvaluateParams,
    workspace: Workspace,
    models: Path,
    out: Path,
    external: Sequence[str] = (),
) -> dict[str, float]:
    """Predict the test part of every run in `models`, write predictions, metrics and curves to `out`.

    Predictions of the validation parts go to a file of their own: whatever is fitted later is fitted on those. What
    a multimodal model answers to the test part with metadata hidden or exchanged goes to masked.csv.
    External data sets are predicted by the mean over the folds of each seed, into external.json and external/.

    Returns:
        The content of metrics.json.

    Raises:
        UserError: a run is missing, unfinished or made from other data than lie there now, or an external data set
            is not prepared.
    """
    inputs = Inputs(workspace, train, split)
    keep_freed_memory()
    outside = [OutsideData.open(workspace, name, train, split) for name in external]
    tables: dict[str, list[pd.DataFrame]] = {"test": [], "validation": []}
    masked: list[pd.DataFrame] = []
    described, histories = [], []
    wanted = [(fold, seed) for fold in train.folds for seed in train.seeds]
    with progress(f"{out.name} predictions", len(wanted), unit="runs") as advance:
        for fold, seed in wanted:
            folder = runs.run_folder(models, fold, seed)
            run = checked_run(inputs, folder, fold, seed)
            model, encoder = restore(inputs, folder, run)
            found = {role: _predict_role(inputs, model, encoder, run, role) for role in tables}
            for data in outside:
                data.add(seed, predict_rows(data.inputs, model, encoder, data.rows))
            for role, table in found.items():
                tables[role].append(table)
            if encoder is not None:
                masked += _predict_masked(inputs, model, encoder, run, settings.seed)
            described.append(run)
            histories.append(pd.read_csv(folder / runs.HISTORY_NAME))
            advance()
    for role, name in (("test", PREDICTIONS_NAME), ("validation", VALIDATION_NAME)):
        table = pd.concat(tables[role]).sort_values(["seed", "fold", "image_id"], ignore_index=True)
        write_csv(out / name, table, float_format=FLOAT_FORMAT)
    every = pd.concat(masked) if masked else pd.DataFrame(columns=list(MASKED_COLUMNS))
    ordered = every.sort_values(["shown", "seed", "fold", "image_id"], ignore_index=True)
    write_csv(out / MASKED_NAME, ordered, float_format="%.6g")
    metrics, notes = write_results(out, settings)
    write_csv(out / HISTORY_NAME, mean_history(histories), float_format="%.6g")
    write_external(out, outside, settings)
    write_json(out / NOTES_NAME, notes | _provenance(inputs, described))
    write_json(out / METRICS_NAME, metrics)
    return metrics


def mean_history(histories: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the training curves averaged over the runs that got as far: one row a step, phases one after another."""
    whole = pd.concat([table.assign(step=range(1, len(table) + 1)) for table in histories])
    values = [name for name in whole.columns if name.startswith(("train_", "validation_"))]
    grouped = whole.groupby("step")
    mean = grouped[values].mean()
    # Runs leave a phase at different steps: the phase of most of them.
    mean.insert(0, "phase", grouped["phase"].agg(lambda names: names.mode().iloc[0]))
    return mean.assign(runs=grouped.size()).reset_index()


def _provenance(inputs: Inputs, described: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what made the figures: data, configuration, versions, device."""
    return {
        "source": inputs.described["source"],
        "synthetic": inputs.described["synthetic"],
        "data": inputs.hashes | {"images_sha256": inputs.described["images_sha256"]},
        "config": inputs.settings.model_dump(mode="json"),
        "system": _system(inputs.settings),
        "backbone": described[0]["backbone"],
        "best_epochs": [run["best_epoch"] for run in described],
        "versions": described[0]["versions"],
        "device": described[0]["device"],
    }


def _system(settings: TrainParams) -> dict[str, str]:
    """Return what a table says of an experiment."""
    with_metadata = {"none": "image", "metadata_only": "metadata"}
    training = settings.regime.replace("_", "-")
    if settings.fine_tunes and settings.trainable_stages is not None:
        training += f", last {settings.trainable_stages} stages"
    return {
        "backbone": "none" if settings.fusion == "metadata_only" else settings.backbone,
        "input": with_metadata.get(settings.fusion, f"image + metadata ({settings.fusion}, {settings.metadata})"),
        "protocol": settings.protocol,
        "training": training,
    }


def _predict_role(
    inputs: Inputs, model: Any, encoder: MetadataEncoder | None, run: dict[str, Any], role: str
) -> pd.DataFrame:
    """Return the test or the validation predictions of one run."""
    rows = inputs.rows(run["fold"], role)
    table = inputs.table.iloc[rows][["image_id", "lesion_id", "dx"]].reset_index(drop=True)
    table = table.assign(fold=run["fold"], seed=run["seed"])
    table[list(PROBABILITY_COLUMNS)] = predict_rows(inputs, model, encoder, rows)
    return table[list(COLUMNS)]


def _predict_masked(
    inputs: Inputs, model: Any, encoder: MetadataEncoder, run: dict[str, Any], seed: int
) -> list[pd.DataFrame]:
    """Return the test predictions of one run with fields hidden, and with records exchanged between lesions."""
    settings = inputs.settings
    rows = inputs.rows(run["fold"], "test")
    views = inputs.test_views(rows, encoder)
    versions = masked_metadata(views[0].records)
    rng = np.random.default_rng([seed, run["fold"], run["seed"]])
    exchanged = inputs.records(rows[exchange_records(inputs.lesions[rows], rng)], encoder).metadata
    assert exchanged is not None
    versions[PERMUTED] = exchanged
    bf16 = settings.fine_tunes and settings.precision == "bf16"
    found = probabilities_by_version(model, views, versions, pixels=settings.fine_tunes, bf16=bf16)
    about = inputs.table.iloc[rows][["image_id"]].reset_index(drop=True)
    tables = []
    for name, probabilities in found.items():
        table = about.assign(fold=run["fold"], seed=run["seed"], shown=name)
        table[list(PROBABILITY_COLUMNS)] = probabilities
        tables.append(table[list(MASKED_COLUMNS)])
    return tables
