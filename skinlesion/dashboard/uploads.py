"""Uploaded predictions: any CSV that `skinlesion score` reads, or NumPy arrays beside an array of the true classes.

Arrays are never unpickled. Every problem is one line that names the uploaded file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from skinlesion.errors import UserError, one_line, printable, shorten
from skinlesion.evaluation.prediction_arrays import rows_of_arrays
from skinlesion.evaluation.predictions import Predictions, check_lesions, predictions_of, read_predictions
from skinlesion.numbers import number
from skinlesion.reading import open_array, read_csv
from skinlesion.vocabulary import CLASSES

#: Endings of uploads that can be read.
ENDINGS = ["csv", "gz", "bz2", "npy"]

_ARRAY = ".npy"
_LONGEST_NAME, _LONGEST_ENDING = 60, 8
_SCORES_REMEDY = f"give probabilities (N, {len(CLASSES)}) or answers (N,), classes in the order {', '.join(CLASSES)}"
_TRUTH_REMEDY = f"give the true classes (N,) as whole numbers 0 to {len(CLASSES) - 1}: {', '.join(CLASSES)}"


@dataclass(frozen=True)
class Upload:
    """An uploaded file: its name as the browser gave it, and its bytes."""

    name: str
    content: bytes

    @property
    def is_array(self) -> bool:
        return self.name.lower().endswith(_ARRAY)


@dataclass(frozen=True)
class UploadedPredictions:
    """What an upload holds.

    Attributes:
        answers_only: whether there are no probabilities, but one answer an image.
        warnings: what a reader of the figures must know.
    """

    predictions: Predictions
    answers_only: bool
    warnings: tuple[str, ...]


def read_upload(upload: Upload, truth: Upload | None, metadata: Path | None, most_bytes: int) -> UploadedPredictions:
    """Return the predictions of an upload.

    Args:
        truth: the true classes of an array, or a metadata table for a CSV without diagnoses or lesions.
        metadata: the workspace's table, which stands in for a missing `truth` of a CSV; None where there is none.
        most_bytes: larger files are refused.

    Raises:
        UserError: a file is too large or cannot be read, or array and truth do not belong together.
    """
    for file in (upload, truth):
        if file is not None and len(file.content) > most_bytes:
            raise UserError(f"{_safe_name(file)}: larger than {number(most_bytes / 1e6, 0)} MB")
    with _on_disk(upload, truth) as (path, truth_path):
        return _read_arrays(path, truth_path) if upload.is_array else _read_table(path, truth_path, metadata)


def _read_table(path: Path, truth: Path | None, metadata: Path | None) -> UploadedPredictions:
    if truth is not None and truth.suffix.lower() == _ARRAY:
        raise UserError(f"{truth}: an array, and {path.name} is a table; give a metadata table, or nothing")
    if truth is None and metadata is not None:
        columns = read_csv(path, (), "give a predictions file", dtype=str, nrows=1).columns
        truth = None if {"dx", "lesion_id"} <= set(columns) else metadata
    predictions, warnings = read_predictions(path, truth)
    check_lesions(predictions, str(path))
    return UploadedPredictions(predictions, False, tuple(warnings))


def _read_arrays(path: Path, truth: Path | None) -> UploadedPredictions:
    if truth is None or truth.suffix.lower() != _ARRAY:
        raise UserError(f"{path}: an array without its truth; {_TRUTH_REMEDY}")
    labels = _whole_numbers(open_array(truth, _TRUTH_REMEDY), truth, _TRUTH_REMEDY)
    array = open_array(path, _SCORES_REMEDY)
    answers_only = array.ndim == 1
    probabilities = (
        np.eye(len(CLASSES))[_whole_numbers(array, path, _SCORES_REMEDY)] if answers_only else _scores(array, path)
    )
    if len(probabilities) != len(labels):
        raise UserError(
            f"{path}: {len(probabilities):,} images, and {truth.name} has {len(labels):,}; give both for the same ones"
        )
    ids = [f"image {place:07d}" for place in range(len(labels))]
    rows = rows_of_arrays(probabilities.astype(float), labels, image_ids=ids)
    predictions, warnings = predictions_of(rows, path.name)
    return UploadedPredictions(predictions, answers_only, tuple(warnings))


def _whole_numbers(array: np.ndarray, path: Path, remedy: str) -> np.ndarray:
    """Return classes (N,) as positions in CLASSES."""
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iuf":
        raise UserError(f"{path}: an array {array.shape} of {array.dtype}; {remedy}")
    numbers = np.asarray(array, dtype=float)
    wrong = ~((numbers % 1 == 0) & (numbers >= 0) & (numbers < len(CLASSES)))
    if wrong.any():
        raise UserError(f"{path}: no class at place {int(np.flatnonzero(wrong)[0])} of {len(numbers):,}; {remedy}")
    return numbers.astype(np.int64)


def _scores(array: np.ndarray, path: Path) -> np.ndarray:
    """Return an array of numbers (N, 7)."""
    if array.ndim != 2 or array.shape[1] != len(CLASSES) or not len(array) or array.dtype.kind not in "iuf":
        raise UserError(f"{path}: an array {array.shape} of {array.dtype}; {_SCORES_REMEDY}")
    return array


@contextmanager
def _on_disk(upload: Upload, truth: Upload | None) -> Iterator[tuple[Path, Path | None]]:
    """Put uploads into a folder of their own, as readers want paths; messages name the uploads alone."""
    with TemporaryDirectory(prefix="skinlesion-upload-") as folder:
        paths = []
        for role, file in (("predictions", upload), ("truth", truth)):
            if file is None:
                continue
            place = Path(folder) / role / _safe_name(file)
            place.parent.mkdir()
            place.write_bytes(file.content)
            paths.append(place)
        try:
            yield paths[0], paths[1] if truth is not None else None
        except UserError as error:
            text = str(error)
            for place in paths:
                text = text.replace(f"{place.parent}/", "")
            raise UserError(one_line(text.replace("--truth", "the truth"))) from None


def _safe_name(upload: Upload) -> str:
    """Return an upload's name as a message and a file system can have it."""
    stem, _, ending = printable(upload.name).replace("/", "_").replace("\\", "_").rpartition(".")
    return f"{shorten(stem.strip('. '), _LONGEST_NAME) or 'upload'}.{ending[:_LONGEST_ENDING]}"
