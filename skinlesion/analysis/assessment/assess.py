"""The assessment of one system from its predictions alone: every table, the headline figures, and notes."""

from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from skinlesion.analysis.assessment.calibration import calibration_table, reliability_table
from skinlesion.analysis.assessment.clinic import decision_curve_in_clinic
from skinlesion.analysis.assessment.conformal import conformal_table, fit_run
from skinlesion.analysis.assessment.decisions import (
    cost_table,
    decision_curve,
    decision_table,
    missed_melanomas,
    precision_recall,
    run_thresholds,
)
from skinlesion.analysis.assessment.headline import headline
from skinlesion.analysis.assessment.inputs import AssessmentInputs
from skinlesion.analysis.assessment.lesions import lesion_table
from skinlesion.analysis.assessment.selective import selective_tables, uncertainty_table
from skinlesion.analysis.assessment.subgroups import subgroup_table
from skinlesion.analysis.own_rules import fit_rules, rules_table
from skinlesion.evaluation.predictions import Predictions, Run, check_lesions
from skinlesion.evaluation.subgroups import make_groups
from skinlesion.numbers import count
from skinlesion.params import AssessParams, EvaluateParams


# Its products of matrices are tall and narrow: threads of BLAS wait for each other longer than they compute.
@threadpool_limits.wrap(limits=1, user_api="blas")
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
        UserError: validation lacks a run that was tested, metadata an image, or a lesion has several diagnoses.
    """
    check_lesions(tested, "predictions")
    inputs = AssessmentInputs.make(tested, validation, metadata, evaluate, settings)
    groups, absent = make_groups(inputs.table, settings.subgroups)
    conformal, pooled = conformal_table(inputs, groups)
    selective, risk_coverage = selective_tables(inputs)
    tables = {
        "calibration": calibration_table(inputs),
        "reliability": reliability_table(inputs),
        "conformal": conformal,
        "selective": selective,
        "risk_coverage": risk_coverage,
        "uncertainty": uncertainty_table(inputs),
        "decisions": decision_table(inputs),
        "decision_curve": decision_curve(inputs),
        "decision_curve_in_clinic": decision_curve_in_clinic(inputs),
        "precision_recall": precision_recall(inputs),
        "costs": cost_table(inputs),
        "missed": missed_melanomas(inputs),
        "subgroups": subgroup_table(inputs, groups),
        "lesions": lesion_table(tested, evaluate),
        "decision_rules": rules_table(tested, fit_rules(tested, validation), evaluate.confidence),
    }
    notes = {
        "images": len(tested.labels),
        "lesions": len(np.unique(tested.lesions)),
        **tested.runs_tested,
        "runs": [_fitted(inputs, run) for run in inputs.runs()],
        "classes_with_pooled_conformal_threshold": pooled,
        "subgroup_columns_not_in_the_data": absent,
        "confidence": evaluate.confidence,
        "replicates": inputs.bootstrap.replicates,
        "warnings": _warnings(inputs, tested, validation),
    }
    headlines = headline(tables, settings)
    notes |= {
        "calibration_error_interval": f"{100 * evaluate.confidence:g}% by inverted tests over lesions",
        "without_interval": headlines.without_interval,
        "undefined_replicates": headlines.undefined_replicates,
    }
    return headlines.figures, tables, notes


def _warnings(inputs: AssessmentInputs, tested: Predictions, validation: Predictions) -> list[str]:
    """Return what is wrong with what was fitted: validation on images that the same run is tested on."""
    shared = [
        int(np.isin(tested.image_ids[run.tested], validation.image_ids[run.validation]).sum()) for run in inputs.runs()
    ]
    if not any(shared):
        return []
    images = count(max(shared), "tested image is", "tested images are")
    return [f"{images} among the validation images of the same run: what is fitted on these looks better than it is"]


def _fitted(inputs: AssessmentInputs, run: Run) -> dict[str, Any]:
    """Return what was fitted on a run's validation part, for `predict`: calibrator, conformal sets, thresholds."""
    return {
        "repeat": run.repeat,
        "seed": run.seed,
        "fold": run.fold,
        "calibrator": inputs.calibrators[run.repeat, run.seed, run.fold].state(),
        "conformal": fit_run(inputs, run, "lac", by_class=True).state(),
        "thresholds": run_thresholds(inputs, run),
    }
