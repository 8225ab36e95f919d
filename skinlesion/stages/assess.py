"""assess: calibration, uncertainty, decisions and subgroups of one system, from its predictions alone."""

import sys
from pathlib import Path

import pandas as pd

from skinlesion.analysis.assessment.assess import assess_predictions
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.evaluation.predictions import read_predictions, read_validation
from skinlesion.files import write_csv, write_json
from skinlesion.params import Params
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
    for warning in notes["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    out = workspace.assessment(name)
    write_tables(out, tables)
    write_json(out / NOTES_NAME, notes)
    write_json(out / ASSESSMENT_NAME, figures)
    return figures


def write_tables(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables as CSV files of their names."""
    for table_name, table in tables.items():
        write_csv(out / f"{table_name}.csv", table, float_format="%.9g")
