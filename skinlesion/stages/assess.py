"""assess: calibration, uncertainty, decisions and subgroups of one system, from its predictions alone."""

from pathlib import Path
from typing import Any

import pandas as pd

from skinlesion.analysis.assessment.assess import assess_predictions
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.evaluation.predictions import read_predictions, read_validation
from skinlesion.files import write_csv, write_json
from skinlesion.outputs import check_outputs, first_bytes
from skinlesion.params import AssessParams, EvaluateParams, Params
from skinlesion.results.names import ASSESSMENT_NAME, NOTES_NAME, PREDICTIONS_NAME, VALIDATION_NAME
from skinlesion.results.workspace import Workspace, evaluate_command


def assess(params: Params, workspace: Workspace, name: str) -> dict[str, float]:
    """Write reports/assessments/<name>/ of an evaluated experiment or ensemble: assessment.json and its tables.

    Returns:
        The content of assessment.json.

    Raises:
        UserError: predictions, validation predictions or metadata are missing or do not fit each other.
    """
    folder = workspace.system(params, name)
    remedy = evaluate_command(params, name)
    tested, _ = read_predictions(folder / PREDICTIONS_NAME, remedy=remedy)
    validation, _ = read_validation(folder / VALIDATION_NAME, remedy=remedy)
    metadata = read_metadata(workspace.prepared / METADATA_NAME)
    figures, tables, notes = assess_predictions(tested, validation, metadata, params.evaluate, params.assess)
    out = workspace.assessment(name)
    write_tables(out, tables)
    write_json(out / NOTES_NAME, notes)
    write_json(out / ASSESSMENT_NAME, figures)
    return figures


def assess_files(
    tested: Path,
    validation: Path,
    truth: Path | None,
    metadata: Path | None,
    evaluate: EvaluateParams,
    settings: AssessParams,
) -> tuple[dict[str, float], dict[str, pd.DataFrame], dict[str, Any]]:
    """Return headline figures, tables and notes of prediction files from anywhere; no subgroups without metadata.

    Raises:
        UserError: a file cannot be read, or they do not fit each other.
    """
    test, _ = read_predictions(tested, truth)
    fitting, _ = read_validation(validation, truth)
    table = pd.DataFrame({"image_id": test.image_ids}) if metadata is None else read_metadata(metadata)
    return assess_predictions(test, fitting, table, evaluate, settings)


def write_named_tables(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables to a folder that a user names; none where anything but such tables would be replaced.

    Raises:
        UserError: a file of the name of a table lies there that has other columns, or the folder cannot be used.
    """
    headers = {out / f"{name}.csv": (",".join(table.columns) + "\n").encode() for name, table in tables.items()}
    check_outputs(headers, "--out", lambda path: first_bytes(path, len(headers[path])) == headers[path])
    write_tables(out, tables)


def write_tables(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables as CSV files of their names."""
    for table_name, table in tables.items():
        write_csv(out / f"{table_name}.csv", table, float_format="%.9g")
