"""predict: what a trained experiment predicts for photographs, with the records that come with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinlesion.data.patient_records import PatientRecord, read_records
from skinlesion.data.photographs import find_photographs
from skinlesion.experiment.photograph_predictions import predict_photographs
from skinlesion.experiment.predictor import Predictor
from skinlesion.params import Params
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace


@dataclass(frozen=True)
class Predictions:
    """Predictions under way."""

    experiment: str
    predictor: Predictor
    count: int  # of photographs
    rows: Iterator[dict[str, Any]]  # of `predict_photographs`, computed when they are asked for


def predict(
    params: Params,
    workspace: Workspace,
    images: Sequence[Path],
    *,
    record: PatientRecord,
    table: Path | None = None,
    experiment: str | None = None,
    fold: int | None = None,
    unlike: bool = False,
    overlays: Path | None = None,
) -> Predictions:
    """Open an experiment and return its predictions of photographs.

    Args:
        images: files, or folders of them.
        record: what is known of the patient of every photograph that the table does not list.
        table: a CSV of image_id, age, sex, localization.
        experiment: by default the best by validation, with metadata where some are given.
        fold: whose models; by default the mean over all.
        unlike: also say how unlike the prepared images each photograph is.
        overlays: a folder for pictures of where the model of one fold looks.

    Raises:
        UserError: no such photograph, experiment or fold, a record that is not valid, or nothing trained.
    """
    record.checked()
    records = None if table is None else read_records(table)
    files = find_photographs(images)
    name = Results(params, workspace).choose_experiment(experiment, metadata=not record.empty or records is not None)
    predictor = Predictor.open(params, workspace, name, fold)
    neighbours = predictor.neighbours() if unlike else None
    overlay = None
    if overlays is not None:
        from skinlesion.stages.explain import overlay_writer

        overlay = overlay_writer(params, workspace, name, overlays)
    rows = predict_photographs(predictor, files, params.prepare, record, records, neighbours, overlay)
    return Predictions(name, predictor, len(files), rows)
