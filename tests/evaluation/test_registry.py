"""The registry of metrics: an entry is all that a new metric needs, and every entry is complete."""

import numpy as np
import pytest

from skinlesion.analysis.comparison import compare
from skinlesion.analysis.judgement import judge
from skinlesion.analysis.plan import Plan
from skinlesion.analysis.summary import summarise
from skinlesion.evaluation import registry
from skinlesion.evaluation.metrics import score
from skinlesion.evaluation.registry import METRICS, Metric, Scored, make_schema, metric_of, title_of
from skinlesion.params import EvaluateParams
from skinlesion.params.section import COMPARABLE
from skinlesion.stats import counts
from tests.simulated import simulated

SETTINGS = EvaluateParams(replicates=100)


@pytest.fixture
def error_rate(monkeypatch):
    """The registry with one entry more: the share of wrong answers, lower is better."""
    entry = Metric("error_rate", "error rate", lambda totals: 1 - counts.accuracy(totals), higher_is_better=False)
    monkeypatch.setitem(METRICS, entry.name, entry)


def test_one_entry_brings_a_metric_with_its_interval_into_metrics_json(error_rate):
    values, _ = summarise(simulated(seeds=2), SETTINGS, make_schema())
    assert values["error_rate"] == pytest.approx(1 - values["accuracy"])
    # A share of images has Wilson's interval, a new metric the plain one.
    assert values["error_rate_low"] == pytest.approx(1 - values["accuracy_high"], abs=0.01)
    assert values["error_rate_high"] == pytest.approx(1 - values["accuracy_low"], abs=0.01)
    assert title_of("error_rate") == "error rate"


def test_verdicts_say_higher_and_lower_of_the_value_whatever_is_better(error_rate):
    predictions = {"weak": simulated(strength=0.8), "strong": simulated(strength=1.6)}
    plan = Plan(("accuracy", "error_rate"), "accuracy", {"accuracy": 0.02}, replicates=0)
    compared = compare(predictions, [("weak", "strong"), ("strong", "weak")], plan, make_schema())
    judged = judge(compared.table, compared.differences, plan)
    judged = judged[judged["verdict"] != ""].set_index(["a", "metric"])
    assert judged.loc[("weak", "accuracy"), "verdict"] == "higher by more than the margin"
    assert judged.loc[("weak", "error_rate"), "verdict"] == "lower"  # without a margin, the direction alone
    assert judged.loc[("strong", "accuracy"), "verdict"] == "lower by more than the margin"
    assert judged.loc[("strong", "error_rate"), "verdict"] == "higher"


def test_every_metric_has_one_definition_and_a_reason_where_it_can_be_undefined():
    one_class = Scored(np.zeros(3, int), np.tile(np.eye(7)[0], (3, 1)))
    for metric in METRICS.values():
        assert (metric.counts is None) != (metric.scored is None), metric.name
        assert len(metric.values(one_class)) == len(metric.names()), metric.name
    scores = score(one_class.labels, one_class.probabilities, 15)
    assert scores.undefined["macro_auc"] == "no AUC for akiec, bcc, bkl, df, mel, nv, vasc"
    assert scores.undefined["sensitivity_mel"] == "no mel among the images"
    assert scores.undefined["specificity_akiec"] == "only akiec among the images"
    assert all(scores.undefined.values())


def test_what_params_can_name_is_there_to_resample_or_to_monitor():
    assert set(COMPARABLE) == set(make_schema().metrics())
    assert set(registry.MONITORED) - {"loss"} <= set(METRICS)
    assert set(registry.MONITORED) <= {"loss", "nll", "macro_auc", *counts.WHOLE}  # what training computes


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("macro_f1", "macro F1"),
        ("sensitivity_mel", "melanoma sensitivity"),
        ("auc_nv", "melanocytic naevus AUC"),
        ("ece_calibrated", "plug-in ECE after calibration"),
        ("malignant_net_benefit_at_12.5_percent_risk", "malignant net benefit at 12.5% risk"),
    ],
)
def test_titles(name, title):
    assert title_of(name) == title


@pytest.mark.parametrize("name", ["macro_f1_mel", "sensitivity_wart", "f2_mel", "nonsense"])
def test_a_name_of_no_metric_is_an_error(name):
    with pytest.raises(KeyError):
        metric_of(name)
