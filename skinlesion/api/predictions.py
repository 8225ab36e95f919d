"""Predictions from a file, a DataFrame or arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.evaluation.prediction_arrays import rows_of_arrays
from skinlesion.evaluation.predictions import Predictions, predictions_of, read_predictions, read_validation
from skinlesion.stages.compare import model_name

#: What functions take as predictions.
Source: TypeAlias = Predictions | pd.DataFrame | str | Path

#: A metadata table with `image_id, dx` and maybe `lesion_id`, or its file.
Truth: TypeAlias = pd.DataFrame | str | Path


def load_predictions(
    source: Source | npt.ArrayLike,
    truth: Truth | None = None,
    *,
    labels: npt.ArrayLike | None = None,
    lesions: npt.ArrayLike | None = None,
    image_ids: npt.ArrayLike | None = None,
    validation: bool = False,
) -> Predictions:
    """Return checked predictions.

    Args:
        source: a predictions file (ours or the ISIC challenge's columns), a DataFrame with the same columns, or
            probabilities (N, 7), or (L, N, 7) of L trainings, in the order of `skinlesion.vocabulary.CLASSES`.
        truth: for a file or DataFrame that lacks diagnoses or lesions.
        labels: (N,) diagnoses of an array, as names ("mel") or positions among the classes.
        lesions: (N,) ids of the lesions of an array's images; by default every image is a lesion of its own, which
            makes intervals too narrow where that is not so.
        image_ids: (N,) ids of an array's images; by default their numbers. Two models are compared by these.
        validation: predictions of validation parts, of which repeats may hold different images.

    Raises:
        UserError: as `skinlesion.evaluation.predictions.read_predictions`.
    """
    if not isinstance(source, Predictions | pd.DataFrame | str | Path):
        source = rows_of_arrays(np.asarray(source, dtype=float), labels, lesions, image_ids)
    return load_with_warnings(source, truth, validation=validation)[0]


def load_with_warnings(
    source: Source, truth: Truth | None = None, *, validation: bool = False
) -> tuple[Predictions, list[str]]:
    """Return what `load_predictions` does of a file or a table, and warnings in words."""
    truth = Path(truth) if isinstance(truth, str) else truth
    if isinstance(source, Predictions):
        return source, []
    if isinstance(source, pd.DataFrame):
        return predictions_of(source, "predictions", truth, partial=validation)
    if isinstance(truth, pd.DataFrame):
        raise UserError("truth: give a file where the predictions are a file")
    return (read_validation if validation else read_predictions)(Path(source), truth)


def as_many(models: Sequence[Source], truth: Truth | None) -> tuple[list[Predictions], list[str]]:
    """Return the predictions of several models, and all warnings."""
    loaded = [load_with_warnings(model, truth) for model in models]
    return [predictions for predictions, _ in loaded], [warning for _, messages in loaded for warning in messages]


def names_of(models: Sequence[Source], names: Sequence[str] | None) -> list[str]:
    """Return what models are called: as given, after their files, or by letters.

    Raises:
        UserError: the wrong number of names, or a name twice.
    """
    if names is None:
        names = [
            model_name(Path(model)) if isinstance(model, str | Path) else chr(ord("a") + place % 26)
            for place, model in enumerate(models)
        ]
        if len(set(names)) < len(names):
            names = [f"{name} {place}" for place, name in enumerate(names, 1)]
    if len(names) != len(models) or len(set(names)) < len(names):
        raise UserError(f"names: give {len(models)} different names, one for each model")
    return list(names)
