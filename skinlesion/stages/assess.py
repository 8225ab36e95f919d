"""assess: calibration, uncertainty, decisions and subgroups of one system, from its predictions alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.evaluation.runs import Run
from skinlesion.evaluation.subgroups import make_groups
from skinlesion.files import write_csv, write_json
from skinlesion.params import AssessParams, EvaluateParams, Params
from skinlesion.stages.assessment.calibration import calibration_table, reliability_table
from skinlesion.stages.assessment.conformal import conformal_table, fit_run
from skinlesion.stages.assessment.decisions import (
    cost_table,
    decision_curve,
    decision_table,
    missed_melanomas,
    precision_recall,
    run_thresholds,
)
from skinlesion.stages.assessment.headline import headline
from skinlesion.stages.assessment.lesions import lesion_table
from skinlesion.stages.assessment.material import Material
from skinlesion.stages.assessment.selective import selective_tables, uncertainty_table
from skinlesion.stages.assessment.subgroups import subgroup_table
from skinlesion.stages.contracts import ASSESSMENT_NAME, NOTES_NAME, PREDICTIONS_NAME, VALIDATION_NAME
from skinlesion.stages.workspace import Workspace


def assess(params: Params, workspace: Workspace, name: str) -> dict[str, float]:
    """Write reports/assessments/<name>/ of an evaluated experiment or ensemble: assessment.json and its tables.

    Returns:
        The content of assessment.json.

    Raises:
        UserError: predictions, validation predictions or metadata are missing or do not fit each other.
    """
    folder = workspace.system(params, name)
    tested, _ = read_predictions(folder / PREDICTIONS_NAME)
    validation, _ = read_predictions(folder / VALIDATION_NAME)
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
) -> tuple[dict[str, float], dict[str, pd.DataFrame]]:
    """Return headline figures and tables of prediction files from anywhere; without a metadata table no subgroups.

    Raises:
        UserError: a file cannot be read, or they do not fit each other.
    """
    found, _ = read_predictions(tested, truth)
    fitted, _ = read_predictions(validation, truth)
    table = pd.DataFrame({"image_id": found.image_ids}) if metadata is None else read_metadata(metadata)
    figures, tables, _ = assess_predictions(found, fitted, table, evaluate, settings)
    return figures, tables


def write_tables(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables as CSV files of their names."""
    for table_name, table in tables.items():
        write_csv(out / f"{table_name}.csv", table, float_format="%.9g")


def assess_predictions(
    tested: Predictions,
    validation: Predictions,
    metadata: pd.DataFrame,
    evaluate: EvaluateParams,
    settings: AssessParams,
) -> tuple[dict[str, float], dict[str, pd.DataFrame], dict[str, Any]]:
    """Return the headline figures, all tables by name, and notes.

    Args:
        tested: predictions of test parts.
        validation: predictions of validation parts by the same runs; all that is fitted is fitted on these.
        metadata: a table with `image_id` that holds every tested image, and the columns that make subgroups.

    Raises:
        UserError: validation lacks a run that was tested, or metadata an image.
    """
    material = Material.make(tested, validation, metadata, evaluate, settings)
    groups, absent = make_groups(material.table, settings.subgroups)
    conformal, pooled = conformal_table(material, groups)
    selective, risk_coverage = selective_tables(material)
    tables = {
        "calibration": calibration_table(material),
        "reliability": reliability_table(material),
        "conformal": conformal,
        "selective": selective,
        "risk_coverage": risk_coverage,
        "uncertainty": uncertainty_table(material),
        "decisions": decision_table(material),
        "decision_curve": decision_curve(material),
        "precision_recall": precision_recall(material),
        "costs": cost_table(material),
        "missed": missed_melanomas(material),
        "subgroups": subgroup_table(material, groups),
        "lesions": lesion_table(tested, evaluate),
    }
    notes = {
        "images": len(tested.labels),
        "lesions": len(np.unique(tested.lesions)),
        "folds": sorted({int(fold) for fold in tested.folds}),
        "seeds": list(tested.seeds),
        "runs": [_fitted(material, run) for run in material.runs()],
        "classes_with_pooled_conformal_threshold": pooled,
        "subgroup_columns_not_in_the_data": absent,
        "interval": f"{evaluate.confidence:.0%} bootstrap over lesions, {evaluate.replicates} replicates; percentile, "
        "basic for calibration errors",
    }
    return headline(tables, settings), tables, notes


def _fitted(material: Material, run: Run) -> dict[str, Any]:
    """Return what was fitted on a run's validation part and `predict` needs: calibrator, sets, thresholds."""
    return {
        "seed": run.seed,
        "fold": run.fold,
        "calibrator": material.calibrators[run.seed, run.fold].state(),
        "conformal": fit_run(material, run, "lac", by_class=True).state(),
        "thresholds": run_thresholds(material, run),
    }
