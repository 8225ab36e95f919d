"""Out-of-fold predictions of an experiment: every trained run on its test and validation part, and on external data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from skinlesion.data.splits import independent_groups
from skinlesion.evaluation.prediction_rows import COLUMNS
from skinlesion.experiment.external import ExternalData
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.metadata_masking import masked_predictions
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.params import TrainParams
from skinlesion.progress import progress
from skinlesion.results.names import MASKED_COLUMNS
from skinlesion.training.runs import RunDescription, environment, read_history, runs_of
from skinlesion.vocabulary import PROBABILITY_COLUMNS

_ORDER = ["repeat", "seed", "fold", "image_id"]


@dataclass(frozen=True)
class ExperimentPredictions:
    """What the runs of an experiment predict, and how they were trained."""

    test: pd.DataFrame  # COLUMNS of predictions, sorted by repeat, seed, fold and image
    validation: pd.DataFrame
    masked: pd.DataFrame  # MASKED_COLUMNS; empty for image-only experiments
    descriptions: list[RunDescription]  # of each run
    histories: list[pd.DataFrame]  # history.csv of each run


def predict_runs(
    inputs: Inputs, models: Path, external: Sequence[ExternalData], masking_seed: int, label: str
) -> ExperimentPredictions:
    """Return the predictions of all runs of an experiment; those of external data are added to `external`.

    Args:
        models: the folder the runs were trained into.
        masking_seed: of the exchange of records between lesions.
        label: of the progress bar.

    Raises:
        UserError: a run is missing, unfinished or made from other data than there are now.
    """
    test, validation, masked, trained = [], [], [], []
    wanted = runs_of(inputs.settings)
    with progress(label, len(wanted), unit="runs") as advance:
        for run in wanted:
            model = TrainedRun.open(inputs, models, run)
            test.append(_of_role(model, "test"))
            validation.append(_of_role(model, "validation"))
            for data in external:
                data.add(model)
            if model.encoder is not None:
                masked += masked_predictions(model, masking_seed)
            trained.append((model.description, read_history(models, run)))
            advance()
    versions = pd.concat(masked) if masked else pd.DataFrame(columns=list(MASKED_COLUMNS))
    return ExperimentPredictions(
        test=pd.concat(test).sort_values(_ORDER, ignore_index=True),
        validation=pd.concat(validation).sort_values(_ORDER, ignore_index=True),
        masked=versions.sort_values(["shown", *_ORDER], ignore_index=True),
        descriptions=[description for description, _ in trained],
        histories=[history for _, history in trained],
    )


def _of_role(model: TrainedRun, role: str) -> pd.DataFrame:
    """Return the test or the validation predictions of one run."""
    inputs, run = model.inputs, model.run
    rows = inputs.rows(run.fold, role, run.repeat)
    table = inputs.table.iloc[rows][["image_id", "dx"]].reset_index(drop=True)
    # What the split keeps together, a patient where patients are known, is one cluster of the statistics too.
    table = table.assign(lesion_id=independent_groups(inputs.table)[rows], **run._asdict())
    table[list(PROBABILITY_COLUMNS)] = model.of_rows(rows)[0]
    return table[list(COLUMNS)]


def provenance(inputs: Inputs, descriptions: list[RunDescription]) -> dict[str, Any]:
    """Return what the figures of an experiment come from: data, configuration, versions and device."""
    tuned = [description["tuned"]["chosen"] for description in descriptions if "tuned" in description]
    first, *others = inputs.settings.repeats
    splits = {f"split_{repeat}": inputs.hashes(repeat)["split"] for repeat in others}
    return {
        "source": inputs.described["source"],
        "synthetic": inputs.described["synthetic"],
        "data": inputs.hashes(first) | splits | {"images_sha256": inputs.described["images_sha256"]},
        "config": inputs.settings.model_dump(mode="json"),
        "system": _system(inputs.settings),
        "backbone": descriptions[0]["backbone"],
        **({"tuned": tuned} if tuned else {}),
        "best_epochs": [description["best_epoch"] for description in descriptions],
        "versions": descriptions[0]["versions"],
        "device": descriptions[0]["device"],
        "evaluated_with": environment(inputs.device),
    }


def _system(settings: TrainParams) -> dict[str, str]:
    """Return the experiment in words, for tables: backbone, input, protocol and training."""
    with_metadata = {"none": "image", "metadata_only": "metadata"}
    training = settings.regime.replace("_", "-")
    if settings.fine_tunes and settings.trainable_stages is not None:
        training += f", last {settings.trainable_stages} stages"
    if settings.injected is not None:
        training += f", up to {settings.injected} images of tested lesions injected"
    fusion = f"{settings.fusion}, {settings.metadata}"
    if settings.records == "permuted":
        fusion += ", records of other lesions"
    return {
        "backbone": "none" if settings.fusion == "metadata_only" else settings.backbone,
        "input": with_metadata.get(settings.fusion, f"image + metadata ({fusion})"),
        "protocol": settings.protocol,
        "training": training,
    }


def mean_history(histories: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the training curves averaged over the runs that got as far: one row per step, phases in succession."""
    combined = pd.concat([table.assign(step=range(1, len(table) + 1)) for table in histories])
    values = [name for name in combined.columns if name.startswith(("train_", "validation_"))]
    grouped = combined.groupby("step")
    mean = grouped[values].mean()
    # Runs leave a phase at different steps: the phase of most of them.
    mean.insert(0, "phase", grouped["phase"].agg(lambda names: names.mode().iloc[0]))
    return mean.assign(runs=grouped.size()).reset_index()
