"""Predictions of photographs, a batch at a time on each core; a file that cannot be read is reported and skipped."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.patient_records import PatientRecord, records_of
from skinlesion.data.photographs import read_photograph
from skinlesion.errors import UserError
from skinlesion.experiment.parallel import in_parallel
from skinlesion.experiment.predictor import Predictor
from skinlesion.interpret.neighbours import Neighbours
from skinlesion.params import PrepareParams
from skinlesion.training.batch_sizes import PHOTOGRAPHS
from skinlesion.training.memory import keep_freed_memory
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

#: Draws where the model looks, given a file, its pixels and its record.
Overlay = Callable[[Path, np.ndarray, pd.DataFrame], None]


def predict_photographs(
    predictor: Predictor,
    files: Sequence[Path],
    prepare: PrepareParams,
    default: PatientRecord,
    records: pd.DataFrame | None = None,
    neighbours: Neighbours | None = None,
    overlay: Overlay | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one row per file, in order: `file, answer, p_…, malignant, set, called, unlike, error`.

    Args:
        default: what is known of the patient of every file that `records` do not list.
        records: of `read_records`.
        neighbours: of the training images; without it `unlike` is None.
        overlay: called with each file, its pixels and its record.
    """
    keep_freed_memory()
    batches = [files[start : start + PHOTOGRAPHS] for start in range(0, len(files), PHOTOGRAPHS)]

    def answer(batch: Sequence[Path]) -> _Batch:
        return _answer(predictor, batch, prepare, records_of(batch, records, default), neighbours)

    for batch in in_parallel(answer, batches):
        for place, row in enumerate(batch.rows):
            if overlay is not None and not row["error"]:  # here, because maps hook into a model that threads share
                overlay(batch.files[place], batch.images[place], batch.records.iloc[[place]])
            yield row


@dataclass(frozen=True)
class _Batch:
    """Some photographs, their records, and the rows of `predict_photographs`."""

    files: Sequence[Path]
    records: pd.DataFrame
    images: dict[int, np.ndarray]  # place in `files` → pixels (S, S, 3) uint8, of those that could be read
    rows: list[dict[str, Any]]


def _answer(
    predictor: Predictor,
    files: Sequence[Path],
    prepare: PrepareParams,
    records: pd.DataFrame,
    neighbours: Neighbours | None,
) -> _Batch:
    images: dict[int, np.ndarray] = {}
    rows: list[dict[str, Any]] = [{} for _ in files]
    for place, path in enumerate(files):
        try:
            images[place] = read_photograph(path, prepare)
        except UserError as error:
            rows[place] = {"file": str(path), "error": str(error)}
    if images:
        readable, pixels = list(images), np.stack(list(images.values()))
        answers = predictor.answer(pixels, records.iloc[readable])
        unlike = None if neighbours is None else neighbours.percentile(predictor.pooled(pixels))
        for row, place in enumerate(readable):
            p = answers.probabilities[row]
            rows[place] = {
                "file": str(files[place]),
                "answer": CLASSES[int(p.argmax())],
                **{name: float(value) for name, value in zip(PROBABILITY_COLUMNS, p, strict=True)},
                "malignant": float(answers.malignant[row]),
                "set": None
                if answers.sets is None
                else [CLASSES[position] for position in np.flatnonzero(answers.sets[row])],
                "called": {rule: bool(called[row]) for rule, called in answers.calls.items()},
                "unlike": None if unlike is None else float(unlike[row]),
                "error": "",
            }
    return _Batch(files, records, images, rows)
