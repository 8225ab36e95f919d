"""The files that every set of predictions gets, an experiment's or an ensemble's: metrics, notes and curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from skinlesion.analysis.summary import mean_temperature, summarise, summarise_external
from skinlesion.atomic import replacing_folder
from skinlesion.evaluation.curves import confusion_table, roc_table
from skinlesion.evaluation.prediction_rows import FLOAT_FORMAT
from skinlesion.evaluation.predictions import read_predictions, read_validation
from skinlesion.files import write_csv, write_json
from skinlesion.params import EvaluateParams
from skinlesion.results.names import (
    CONFUSION_NAME,
    EXTERNAL_FOLDER,
    EXTERNAL_NAME,
    EXTERNAL_NOTES_NAME,
    PREDICTIONS_NAME,
    ROC_NAME,
    VALIDATION_NAME,
)


def write_results(out: Path, settings: EvaluateParams) -> tuple[dict[str, float], dict[str, Any]]:
    """Write the curves of `out`/predictions.csv beside it; return its metrics and notes.

    The temperature is fitted on `out`/validation.csv, run by run; metrics hold the mean.

    Raises:
        UserError: a predictions file is missing or wrong, or validation lacks a run.
    """
    # From the files, not from memory: whoever reads them computes the same figures.
    predictions, _ = read_predictions(out / PREDICTIONS_NAME)
    validation, _ = read_validation(out / VALIDATION_NAME)
    write_csv(out / CONFUSION_NAME, confusion_table(predictions.labels, predictions.probabilities))
    write_csv(out / ROC_NAME, roc_table(predictions.labels, predictions.probabilities), float_format="%.6g")
    values, notes = summarise(predictions, settings)
    return values | {"temperature": mean_temperature(predictions, validation)}, notes


def write_external(
    out: Path, data_sets: Mapping[str, tuple[pd.DataFrame, dict[str, Any]]], settings: EvaluateParams
) -> None:
    """Write `out`/external.json and `out`/external/: predictions of each external data set and what it is.

    Args:
        data_sets: name → its predictions and its description.
    """
    figures, notes = {}, {}
    with replacing_folder(out / EXTERNAL_FOLDER) as folder:  # a data set that is no longer named leaves nothing behind
        for name, (predicted, description) in data_sets.items():
            write_csv(folder / f"{name}.csv", predicted, float_format=FLOAT_FORMAT)
            predictions, _ = read_predictions(folder / f"{name}.csv")
            figures[name], undefined = summarise_external(predictions, settings)
            notes[name] = description | {"undefined": undefined}
        write_json(folder / EXTERNAL_NOTES_NAME, notes)
    write_json(out / EXTERNAL_NAME, figures)
