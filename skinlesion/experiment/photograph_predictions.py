"""Predictions of photographs, a batch at a time on each core; a file that cannot be read is reported and skipped."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.patient_records import PatientRecord, any_known, records_of
from skinlesion.data.photographs import read_photograph
from skinlesion.errors import UserError
from skinlesion.experiment.answering import AnsweringModel
from skinlesion.params import PrepareParams
from skinlesion.training.batch_sizes import PHOTOGRAPHS
from skinlesion.training.memory import keep_freed_memory
from skinlesion.training.parallel import in_parallel

#: Draws where a model looks, given a file, its pixels and its record.
Overlay = Callable[[Path, np.ndarray, pd.DataFrame], None]

#: Whether anything is known of the patient → the model that answers; it lacks what no photograph needs.
Models = Mapping[bool, AnsweringModel]


def predict_photographs(
    models: Models,
    files: Sequence[Path],
    prepare: PrepareParams,
    default: PatientRecord,
    records: pd.DataFrame | None = None,
    overlays: Mapping[str, Overlay] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one row per file, in order: `file`, the keys of `AnsweringModel.rows`, and `error`; or `file, error`.

    Args:
        default: what is known of the patient of every file that `records` do not list.
        records: of `read_records`.
        overlays: by the name of the model that answered, called with each file, its pixels and its record.
    """
    keep_freed_memory()
    batches = [files[start : start + PHOTOGRAPHS] for start in range(0, len(files), PHOTOGRAPHS)]

    def answer(batch: Sequence[Path]) -> _Batch:
        return _answer(models, batch, prepare, records_of(batch, records, default))

    for batch in in_parallel(answer, batches):
        for place, row in enumerate(batch.rows):
            if overlays and not row["error"]:  # here, because maps hook into a model that threads share
                overlays[row["experiment"]](batch.files[place], batch.images[place], batch.records.iloc[[place]])
            yield row


@dataclass(frozen=True)
class _Batch:
    """Some photographs, their records, and the rows of `predict_photographs`."""

    files: Sequence[Path]
    records: pd.DataFrame
    images: dict[int, np.ndarray]  # place in `files` → frame (h, w, 3) uint8, of those that could be read
    rows: list[dict[str, Any]]


def _answer(models: Models, files: Sequence[Path], prepare: PrepareParams, records: pd.DataFrame) -> _Batch:
    images: dict[int, np.ndarray] = {}
    rows: list[dict[str, Any]] = [{} for _ in files]
    for place, path in enumerate(files):
        try:
            images[place] = read_photograph(path, prepare)
        except UserError as error:
            rows[place] = {"file": str(path), "error": str(error)}
    has_record = any_known(records)
    for with_record, model in models.items():
        places = [place for place in images if has_record[place] == with_record]
        if places:
            answered = model.rows([images[place] for place in places], records.iloc[places])
            for place, row in zip(places, answered, strict=True):
                rows[place] = {"file": str(files[place])} | row | {"error": ""}
    return _Batch(files, records, images, rows)
