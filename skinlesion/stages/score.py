"""score: every metric of a prediction file from anywhere; with validation predictions also its assessment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from skinlesion.analysis.assessment.assess import assess_predictions
from skinlesion.analysis.summary import mean_temperature, summarise
from skinlesion.data.metadata import read_metadata
from skinlesion.evaluation.minimum_sizes import interval_warnings
from skinlesion.evaluation.predictions import Predictions, check_lesions, read_predictions, read_validation
from skinlesion.outputs import check_outputs, first_bytes
from skinlesion.params import AssessParams, EvaluateParams
from skinlesion.stages.assess import write_tables


@dataclass(frozen=True)
class Scored:
    """What is said of a prediction file.

    Attributes:
        values: the figures of metrics.json.
        notes: how they came about, warnings included.
        figures: the headline figures of the assessment, empty without validation predictions.
        tables: those of the assessment, by name.
    """

    values: dict[str, float]
    notes: dict[str, Any]
    figures: dict[str, float] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def score(
    path: Path,
    truth: Path | None,
    evaluate: EvaluateParams,
    validation: Path | None = None,
    metadata: Path | None = None,
    assess: AssessParams | None = None,
) -> Scored:
    """Return the metrics and notes of a prediction file: the same figures as metrics.json.

    Args:
        truth: a metadata table with `image_id, dx` and maybe `lesion_id`, for files that lack them.
        validation: predictions of validation parts by the same runs, for the temperature and the assessment.
        metadata: a prepared table, for the assessment's subgroups.
        assess: how it is assessed; by default as `AssessParams` says.

    Raises:
        UserError: a file cannot be read, images of one lesion differ in diagnosis, validation lacks a run, or metadata
            an image.
    """
    tested, warnings = read_predictions(path, truth)
    check_lesions(tested, str(path))
    fitting = None if validation is None else read_validation(validation, truth)[0]
    table = None if metadata is None else read_metadata(metadata)
    return score_predictions(tested, warnings, evaluate, fitting, table, assess)


def score_predictions(
    tested: Predictions,
    warnings: Sequence[str],
    evaluate: EvaluateParams,
    fitting: Predictions | None = None,
    table: pd.DataFrame | None = None,
    assess: AssessParams | None = None,
) -> Scored:
    """Return the metrics and notes of predictions, with validation predictions (`fitting`) also their assessment.

    Args:
        warnings: of reading, which the notes pass on.
        table: a prepared table, for the assessment's subgroups.

    Raises:
        UserError: validation lacks a run, or the table an image.
    """
    values, notes = summarise(tested, evaluate)
    cautions = interval_warnings(notes["without_interval"], notes["approximate"])
    notes["warnings"] = [*warnings, *cautions]
    if fitting is None:
        return Scored(values, notes)
    values["temperature"] = mean_temperature(tested, fitting)
    table = pd.DataFrame({"image_id": tested.image_ids}) if table is None else table
    figures, tables, assessed = assess_predictions(tested, fitting, table, evaluate, assess or AssessParams())
    notes["without_interval"] |= assessed["without_interval"]
    notes["warnings"] += assessed["warnings"]
    notes["undefined_replicates"] = assessed["undefined_replicates"]
    return Scored(values, notes, figures, tables)


def write_named_tables(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables to a folder that a user names; none where anything but such tables would be replaced.

    Raises:
        UserError: a file of the name of a table lies there that has other columns, or the folder cannot be used.
    """
    headers = {out / f"{name}.csv": (",".join(table.columns) + "\n").encode() for name, table in tables.items()}
    check_outputs(headers, "--out", lambda path: first_bytes(path, len(headers[path])) == headers[path])
    write_tables(out, tables)
