"""Names in assessment.json are exact for any level, and the figures under them are those of that level."""

import numpy as np
import pandas as pd
import pytest

from skinlesion.analysis.assessment.assess import assess_predictions
from skinlesion.evaluation.decisions import cases_of, net_benefit, risk_of
from skinlesion.evaluation.figure_names import accuracy_at_coverage, at_operating_point, net_benefit_at, percent
from skinlesion.evaluation.recalibration import restore_calibrator
from skinlesion.params import AssessParams, EvaluateParams
from tests.simulated import simulated


@pytest.mark.parametrize(
    ("share", "text"), [(0.9, "90"), (0.95, "95"), (0.1, "10"), (0.125, "12.5"), (0.29, "29"), (0.9999, "99.99")]
)
def test_a_share_in_percent_has_every_digit_and_no_more(share, text):
    assert percent(share) == text


def test_names_of_the_usual_levels():
    assert at_operating_point("malignant", "sensitivity", 0.9, "specificity") == (
        "malignant_sensitivity_at_90_percent_specificity"
    )
    assert net_benefit_at("melanoma", 0.1) == "melanoma_net_benefit_at_10_percent_risk"
    assert accuracy_at_coverage(0.8) == "accuracy_at_80_percent_coverage"


def test_an_assessment_at_odd_levels_names_and_computes_them_exactly():
    tested, validation = simulated(400), simulated(300, seed=1)
    settings = AssessParams(decision_threshold=0.125, operating_points=[0.925, 0.92], subgroups=[])
    images = pd.DataFrame({"image_id": tested.image_ids})
    figures, tables, notes = assess_predictions(tested, validation, images, EvaluateParams(replicates=100), settings)
    calibrated = restore_calibrator(notes["runs"][0]["calibrator"]).apply(tested.probabilities[0])
    cases, risks = cases_of("malignant", tested.labels), risk_of("malignant", calibrated)
    assert figures[net_benefit_at("malignant", 0.125)] == pytest.approx(net_benefit(cases, risks, 0.125).value)
    assert figures[net_benefit_at("malignant", 0.125)] != pytest.approx(net_benefit(cases, risks, 0.12).value)
    thresholds = notes["runs"][0]["thresholds"]["malignant"]
    assert set(thresholds) == {
        "92.5% specificity", "92% specificity", "92.5% sensitivity", "92% sensitivity",
    }  # fmt: skip
    for level in settings.operating_points:
        name = at_operating_point("malignant", "sensitivity", level, "specificity")
        called = risks >= thresholds[f"{percent(level)}% specificity"]
        assert figures[name] == pytest.approx(called[cases].mean())
    assert "below the threshold at 92.5% specificity" in set(tables["missed"]["rule"])
    assert np.isfinite(list(figures.values())).all()
