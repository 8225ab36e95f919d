"""Risks and net benefit at a clinic's prevalence: Bayes' rule, the data's own prevalence, and repeated people."""

import numpy as np
import pytest

from skinlesion.analysis.assessment.assess import assess_predictions
from skinlesion.evaluation.clinic import net_benefit_in_clinic, risk_in_clinic
from skinlesion.evaluation.decisions import cases_of, net_benefit
from skinlesion.params import AssessParams, EvaluateParams
from tests.simulated import simulated

RNG = np.random.default_rng(0)
CASES = RNG.random(500) < 0.3
RISK = RNG.beta(2, 3, 500)


def test_risks_follow_bayes_rule():
    # A finding that is 4 times as likely in a case: odds 4 · 0.2 / 0.8 = 1 here, 4 · 0.05 / 0.95 there.
    assert risk_in_clinic(np.array([0.5]), 0.2, 0.05) == pytest.approx(4 * 0.05 / 0.95 / (1 + 4 * 0.05 / 0.95))
    np.testing.assert_allclose(risk_in_clinic(RISK, 0.3, 0.3), RISK)
    restored = risk_in_clinic(risk_in_clinic(RISK, 0.3, 0.05), 0.05, 0.3)
    np.testing.assert_allclose(restored, RISK)
    assert (np.diff(risk_in_clinic(np.sort(RISK), 0.3, 0.05)) >= 0).all()
    np.testing.assert_array_equal(risk_in_clinic(RISK, 0.0, 0.05), RISK)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.4, 0.9])
def test_at_the_datas_own_prevalence_it_is_the_net_benefit_of_the_data(threshold):
    clinic_benefit = net_benefit_in_clinic(CASES, RISK, threshold, float(CASES.mean()))
    assert clinic_benefit.value == pytest.approx(net_benefit(CASES, RISK, threshold).value)


def test_at_another_prevalence_it_is_that_of_repeated_cases():
    """Every other person four times over: a prevalence of n / (n + 4 m)."""
    rows = np.concatenate([np.flatnonzero(CASES), np.repeat(np.flatnonzero(~CASES), 4)])
    repeated = net_benefit(CASES[rows], RISK[rows], 0.3).value
    assert net_benefit_in_clinic(CASES, RISK, 0.3, float(CASES[rows].mean())).value == pytest.approx(repeated)


def test_without_cases_there_is_no_net_benefit():
    assert np.isnan(net_benefit_in_clinic(np.zeros(5, dtype=bool), RISK[:5], 0.1, 0.05).value)


def test_the_table_of_an_assessment():
    import pandas as pd

    tested, validation = simulated(600), simulated(500, seed=1)
    images = pd.DataFrame({"image_id": tested.image_ids})
    curves = {}
    for prevalence in (0.05, float(cases_of("malignant", tested.labels).mean())):
        settings = AssessParams(subgroups=[], prevalence=prevalence)
        _, tables, _ = assess_predictions(tested, validation, images, EvaluateParams(replicates=100), settings)
        table = tables["decision_curve_in_clinic"].set_index("threshold")
        curves[prevalence] = table
        assert table.loc[0.0, "malignant"] == pytest.approx(prevalence)
        assert table.loc[0.0, "malignant_treat_all"] == pytest.approx(prevalence)
        # Treating all at a threshold equal to the prevalence gains nothing.
        assert np.interp(prevalence, table.index, table["malignant_treat_all"]) == pytest.approx(0, abs=2e-3)
        with_interval = table[table["malignant_low"].notna()]
        assert len(with_interval) > 20
        assert (with_interval["malignant_low"] <= with_interval["malignant"]).all()
        assert (with_interval["malignant"] <= with_interval["malignant_high"]).all()
    low_prevalence, high_prevalence = curves.values()
    assert (low_prevalence["malignant"] <= high_prevalence["malignant"] + 1e-9).mean() > 0.9
    # A calibrated model is worth more than treating all or none.
    assert low_prevalence.loc[0.1, "malignant"] > max(0, low_prevalence.loc[0.1, "malignant_treat_all"])
