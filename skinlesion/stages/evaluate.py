"""evaluate: out-of-fold predictions of an experiment, and every metric with its interval."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from skinlesion.data.splits import roles
from skinlesion.errors import UserError
from skinlesion.evaluation.calibration import fit_temperature
from skinlesion.evaluation.curves import confusion_table, roc_table
from skinlesion.evaluation.metrics import score
from skinlesion.evaluation.predictions import COLUMNS, FLOAT_FORMAT, Predictions, read_predictions
from skinlesion.files import write_csv, write_json
from skinlesion.models.classifier import FeatureClassifier
from skinlesion.models.metadata_encoders import restore_encoder
from skinlesion.params import EvaluateParams, SplitParams, TrainParams
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.workspace import Workspace
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.resampling import Schema
from skinlesion.training import runs
from skinlesion.training.features import resolve_device
from skinlesion.training.predict import predict_probabilities
from skinlesion.vocabulary import CLASSES, MALIGNANT, PROBABILITY_COLUMNS

PREDICTIONS_NAME = "predictions.csv"
METRICS_NAME = "metrics.json"
NOTES_NAME = "notes.json"
CONFUSION_NAME = "confusion.csv"
ROC_NAME = "roc.csv"

#: Every metric it knows gets an interval beside it in metrics.json.
SCHEMA = Schema(CLASSES, MALIGNANT)


def evaluate(
    train: TrainParams, split: SplitParams, settings: EvaluateParams, workspace: Workspace, models: Path, out: Path
) -> dict[str, float]:
    """Predict the test part of every run in `models`, write predictions, metrics and curves to `out`.

    Returns:
        The content of metrics.json.

    Raises:
        UserError: a run is missing, unfinished or made from other data than lie there now.
    """
    inputs = Inputs(workspace, train, split)
    tables, temperatures, described = [], [], []
    for fold in train.folds:
        for seed in train.seeds:
            folder = runs.run_folder(models, fold, seed)
            run = _checked_run(inputs, folder, fold, seed)
            table, temperature = _predict_run(inputs, folder, run)
            described.append(run)
            tables.append(table)
            temperatures.append(temperature)
    table = pd.concat(tables).sort_values(["seed", "fold", "image_id"], ignore_index=True)
    write_csv(out / PREDICTIONS_NAME, table, float_format=FLOAT_FORMAT)
    # From the file, not from memory: whoever reads it computes the same figures.
    predictions, _ = read_predictions(out / PREDICTIONS_NAME)
    metrics, notes = summarise(predictions, settings)
    metrics["temperature"] = float(np.mean(temperatures))
    write_csv(out / CONFUSION_NAME, confusion_table(predictions.labels, predictions.probabilities))
    write_csv(out / ROC_NAME, roc_table(predictions.labels, predictions.probabilities), float_format="%.6g")
    write_json(out / NOTES_NAME, notes | _provenance(inputs, described))
    write_json(out / METRICS_NAME, metrics)
    return metrics


def summarise(predictions: Predictions, settings: EvaluateParams) -> tuple[dict[str, float], dict[str, Any]]:
    """Return metrics.json (without temperature) and notes.json of some predictions.

    A value is the mean over seeds of the metric on that seed's predictions, all folds pooled; intervals are
    percentile bootstraps over lesions.
    """
    by_seed = [score(predictions.labels, layer, settings.ece_bins) for layer in predictions.probabilities]
    undefined = {name: reason for scores in by_seed for name, reason in scores.undefined.items()}
    values = {
        name: float(np.mean([scores.values[name] for scores in by_seed]))
        for name in by_seed[0].values
        if name not in undefined
    }
    if len(by_seed) > 1:
        spread = [scores.values["balanced_accuracy"] for scores in by_seed]
        values["balanced_accuracy_seed_sd"] = float(np.std(spread, ddof=1))
    wanted = [name for name in SCHEMA.metrics() if name in values]
    resampled = bootstrap(
        predictions.labels,
        [predictions.probabilities],
        predictions.lesions,
        wanted,
        SCHEMA,
        replicates=settings.replicates,
        seed=settings.seed,
    )
    for name in wanted:
        interval = resampled.interval(0, name, settings.confidence)
        if np.isnan(interval.low):
            undefined[f"{name}_low"] = undefined[f"{name}_high"] = "no bootstrap replicate has a value"
        else:
            values[f"{name}_low"], values[f"{name}_high"] = interval.low, interval.high
    notes = {
        "undefined": undefined,
        "images": len(predictions.labels),
        "lesions": len(np.unique(predictions.lesions)),
        "folds": sorted({int(fold) for fold in predictions.folds}),
        "seeds": list(predictions.seeds),
        "interval": f"{settings.confidence:.0%} percentile bootstrap over lesions, {settings.replicates} replicates",
    }
    return values, notes


def _provenance(inputs: Inputs, described: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what made the figures: data, configuration, versions, device."""
    return {
        "source": inputs.described["source"],
        "synthetic": inputs.described["synthetic"],
        "data": inputs.hashes | {"images_sha256": inputs.described["images_sha256"]},
        "config": inputs.settings.model_dump(mode="json"),
        "backbone": inputs.features.backbone,
        "best_epochs": [run["best_epoch"] for run in described],
        "versions": described[0]["versions"],
        "device": described[0]["device"],
    }


def _checked_run(inputs: Inputs, folder: Path, fold: int, seed: int) -> dict[str, Any]:
    run = runs.read_run(folder)
    if run["fingerprint"] != runs.fingerprint(inputs.settings, fold, seed, inputs.hashes):
        raise UserError(
            f"{folder}: trained from other parameters, data or code than lie here now; run `skinlesion train`"
        )
    return run


def _predict_run(inputs: Inputs, folder: Path, run: dict[str, Any]) -> tuple[pd.DataFrame, float]:
    """Return the test predictions of one run and the temperature its validation part asks for."""
    fold = run["fold"]
    device = resolve_device(inputs.settings.device)
    role = roles(inputs.split["part"].to_numpy(), fold)
    encoder = restore_encoder(inputs.settings.metadata, run["metadata_encoder"]) if run["metadata_encoder"] else None
    width = inputs.features.array.shape[1]
    model = FeatureClassifier(inputs.settings, width, encoder.width if encoder else 0).to(device)
    runs.load_weights(folder, model)

    def probabilities(name: str) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(role == name)
        image = torch.from_numpy(inputs.features.array[rows]).to(device)
        metadata = None
        if encoder is not None:
            metadata = torch.from_numpy(encoder.encode(inputs.table.iloc[rows])).to(device)
        return rows, predict_probabilities(model, image, metadata).cpu().numpy()

    rows, test = probabilities("test")
    validation_rows, validation = probabilities("validation")
    temperature = fit_temperature(inputs.labels[validation_rows], validation)
    table = inputs.table.iloc[rows][["image_id", "lesion_id", "dx"]].reset_index(drop=True)
    table = table.assign(fold=fold, seed=run["seed"])
    table[list(PROBABILITY_COLUMNS)] = test
    return table[list(COLUMNS)], temperature
