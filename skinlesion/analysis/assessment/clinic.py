"""Table of the decision curve of malignancy in a clinic where it is rarer, or more common, than in these data."""

import numpy as np
import pandas as pd

from skinlesion.analysis.assessment.inputs import AssessmentInputs
from skinlesion.evaluation.clinic import net_benefit_in_clinic, risk_in_clinic
from skinlesion.evaluation.decisions import THRESHOLDS, cases_of, risk_of


def decision_curve_in_clinic(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return `threshold, malignant, malignant_low, malignant_high, malignant_treat_all, treat_none` of a clinic.

    The clinic's prevalence of malignancy is `assess.prevalence`. Risks are those of vector scaling, fitted on
    validation parts, since one temperature leaves the prevalence that the model was trained to; their odds are moved
    from the prevalence of the validation part to that of the clinic. Cases and others are weighted to the same
    prevalence, each kind as it is in these data. Empty where the data have cases alone, or none.
    """
    prevalence = inputs.assess.prevalence
    cases = cases_of("malignant", inputs.labels)
    scaled = risk_of("malignant", inputs.recalibrated("vector"))  # (S, N)
    risks = np.empty_like(scaled)
    for run in inputs.runs():
        base_rate = cases_of("malignant", inputs.validation.labels[run.validation]).mean()
        risks[run.layer, run.tested] = risk_in_clinic(scaled[run.layer, run.tested], float(base_rate), prevalence)
    thresholds = np.union1d(THRESHOLDS, inputs.assess.decision_threshold)
    figures = (
        (threshold, [net_benefit_in_clinic(cases, layer, threshold, prevalence) for layer in risks])
        for threshold in thresholds
    )
    lacking = inputs.lacking_for("malignant")
    rows = [inputs.row(estimate, lacking) for estimate in inputs.estimates(figures).values()]
    odds = thresholds / (1 - thresholds)
    return pd.DataFrame({
        "threshold": thresholds,
        "malignant": [row["value"] for row in rows],
        "malignant_low": [row["low"] for row in rows],
        "malignant_high": [row["high"] for row in rows],
        "malignant_treat_all": prevalence - (1 - prevalence) * odds,
        "treat_none": 0.0,
    })  # fmt: skip
