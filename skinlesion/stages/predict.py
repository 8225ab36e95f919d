"""predict: what trained experiments predict for photographs, with the records that come with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from skinlesion.data.patient_records import PatientRecord, any_known, match_records, read_records
from skinlesion.data.photographs import distinct_names, find_photographs
from skinlesion.errors import UserError
from skinlesion.experiment.answering import MOST_SECONDS, AnsweringModel
from skinlesion.experiment.photograph_predictions import predict_photographs
from skinlesion.experiment.predictor import Predictor
from skinlesion.interpret.neighbours import Neighbours
from skinlesion.interpret.overlays import is_picture
from skinlesion.numbers import count, number
from skinlesion.outputs import check_outputs
from skinlesion.params import Params
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace


@dataclass(frozen=True)
class Predictions:
    """Predictions under way."""

    models: list[AnsweringModel]
    count: int  # of photographs
    warnings: list[str]
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
    unlike: bool | None = None,
    overlays: Path | None = None,
) -> Predictions:
    """Open the experiments that answer, and return their predictions of photographs.

    Args:
        images: files, or folders of them.
        record: what is known of the patient of every photograph that the table does not list.
        table: a CSV of image_id, age, sex, localization.
        experiment: by default, for each photograph, the best by validation: of those with metadata where any field of
            its record is known, else of those of the image alone.
        fold: whose models; by default the mean over all.
        unlike: compare photographs with the training images; by default where that costs at most `MOST_SECONDS`.
        overlays: a folder for pictures of where the model of one fold looks; pictures of an earlier call are replaced,
            nothing else is.

    Raises:
        UserError: no such photograph, experiment or fold, a record that is not valid, something else where a picture
            would go, or nothing trained.
    """
    record.checked()
    records = None if table is None else read_records(table)
    files, warnings = find_photographs(images)
    if table is not None and records is not None:
        records, match_warnings = match_records(table, records, files)
        warnings += match_warnings
    pictures = (
        {} if overlays is None else {file: overlays / f"{name}.png" for file, name in distinct_names(files).items()}
    )
    check_outputs(pictures.values(), "--cam", is_picture)
    results = Results(params, workspace)
    has_record = _has_record(files, record, records)
    names = {known: results.choose_experiment(experiment, metadata=known) for known in sorted(set(has_record))}
    opened = {name: Predictor.open(params, workspace, name, fold) for name in dict.fromkeys(names.values())}
    warnings = [*_record_warnings(results, names, has_record), *warnings]
    models = {}
    for name, predictor in opened.items():
        neighbours, warning = _neighbours(name, predictor, unlike)
        models[name] = AnsweringModel(name, predictor, neighbours)
        warnings += warning
    drawing = None
    if overlays is not None:
        from skinlesion.stages.explain import overlay_writer

        drawing = {name: overlay_writer(params, workspace, name, pictures) for name in models}
    answering = {known: models[name] for known, name in names.items()}
    rows = predict_photographs(answering, files, params.prepare, record, records, drawing)
    return Predictions(list(models.values()), len(files), warnings, rows)


def _has_record(files: Sequence[Path], default: PatientRecord, records: pd.DataFrame | None) -> list[bool]:
    """Return for each photograph whether anything is known of the patient."""
    listed = {} if records is None else dict(zip(records.index, any_known(records), strict=True))
    return [bool(listed.get(path.stem, not default.empty)) for path in files]


def _record_warnings(results: Results, names: dict[bool, str], has_record: Sequence[bool]) -> list[str]:
    """Return a warning where a model with metadata answers photographs that come without, with what that costs."""
    lacking = len(has_record) - sum(has_record)
    if not lacking or not results.params.experiment(names[False]).uses_metadata:
        return []
    name = names[False]
    warning = (
        f"{count(lacking, 'photograph')} of {number(len(has_record), 0)} without age, sex and localization: {name} was "
        "trained with them and answers worse without; a model of the image alone is the better choice"
    )
    try:
        figures = results.metadata_value[name]
        missing = figures["balanced_accuracy_all_missing"]
        alone = missing - figures["gain_over_image_only_all_missing"]
    except (UserError, KeyError):  # `metadata` was not run, or there is no model that differs in metadata alone
        return [warning]
    return [f"{warning} (balanced accuracy {number(missing)} without, {number(alone)} of the image alone)"]


def _neighbours(name: str, predictor: Predictor, wanted: bool | None) -> tuple[Neighbours | None, list[str]]:
    """Return the training images to compare photographs with, or a warning that they are not compared."""
    skipped = f"{name}: whether photographs are unlike the training images is not checked"
    if wanted is False:
        return None, [skipped]
    try:
        seconds = predictor.seconds_for_neighbours()
        if seconds is None:
            return None, [f"{skipped}: no prepared images here, or a model without image"]
        if seconds > MOST_SECONDS and not wanted:
            minutes = number(seconds / 60, 0)
            return None, [f"{skipped}: that takes about {minutes} min, once; --unlike does it"]
        return predictor.neighbours(), []
    except (UserError, OSError) as error:
        if wanted:
            raise
        return None, [f"{skipped}: {error}"]
