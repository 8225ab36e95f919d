"""Judged comparisons: no verdict contradicts the adjusted p-value or the interval beside it, in whatever family."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtr

from skinlesion.analysis.claims import answer_claims
from skinlesion.analysis.columns import CONFIRMATORY, EXPLORATORY, LINEAR_METHOD, RECIPE_METHOD, TRAINED
from skinlesion.analysis.comparison import compare
from skinlesion.analysis.judgement import ComparedDifference, joint_correlation, judge
from skinlesion.analysis.plan import Plan
from skinlesion.evaluation.predictions import restrict_images
from skinlesion.params import ClaimParams
from skinlesion.stats.linear_estimate import LinearEstimate
from tests.simulated import simulated

METRIC = "balanced_accuracy"
PLAN = Plan((METRIC,), METRIC, {METRIC: 0.02}, replicates=0, naive=False)


def difference(value, influence, lesions=None):
    """Return a judged difference with influences (K,) of lesions of one class."""
    influence = np.asarray(influence) - np.mean(influence)
    ids = np.arange(len(influence)) if lesions is None else lesions
    estimate = LinearEstimate(value, influence, np.zeros(len(influence), dtype=int), by_layer=np.array([value]))
    return ComparedDifference(ids, estimate, None)


def table_of(differences):
    rows = [
        {"a": a, "b": b, "metric": metric, "difference": of_pair.trained.value, "method": LINEAR_METHOD,
         "about": TRAINED, "low": of_pair.trained.interval()[0], "high": of_pair.trained.interval()[1]}
        for (a, b, metric), of_pair in differences.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


@st.composite
def families(draw):
    """Differences of 2 to 12 pairs in units of their standard error, correlated by chance, some of them claimed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    count, lesions = draw(st.integers(2, 12)), draw(st.integers(20, 80))
    common = rng.normal(size=lesions)
    share = draw(st.sampled_from([0.0, 0.7, 0.99]))
    size = draw(st.sampled_from([0.001, 0.004, 0.02]))
    pair_differences = {}
    for number in range(count):
        noise = share * common + (1 - share) * rng.normal(size=lesions)
        noise = (noise - noise.mean()) / np.linalg.norm(noise - noise.mean()) * size
        pair_differences[f"a{number}", f"b{number}", METRIC] = difference(rng.normal(scale=2.5) * size, noise)
    claimed = {key for key in pair_differences if rng.random() < 0.5}
    return pair_differences, claimed


@settings(max_examples=150, deadline=None)
@given(families(), st.sampled_from([0.9, 0.95, 0.99]))
def test_no_verdict_contradicts_the_adjusted_values_beside_it(family, confidence):
    differences, claimed = family
    plan = Plan((METRIC,), METRIC, {METRIC: 0.02}, confidence=confidence)
    judged = judge(table_of(differences), differences, plan, claimed)
    assert len(judged) == len(differences)
    for row in judged.to_dict("records"):
        significant = row["p_adjusted"] <= 1 - confidence + 1e-12
        excludes_zero = row["low_adjusted"] > 0 or row["high_adjusted"] < 0
        assert significant == excludes_zero
        assert row["verdict"].startswith(("higher", "lower")) == significant
        assert row["p_adjusted"] >= row_pvalue(differences, row) - 1e-9
        assert (row["family"] == CONFIRMATORY) == ((row["a"], row["b"], METRIC) in claimed)
        if "within the margin" in row["verdict"] or row["verdict"] == "equivalent":
            assert row["low_adjusted"] > -0.02
            assert row["high_adjusted"] < 0.02
        if "more than the margin" in row["verdict"]:
            assert row["low_adjusted"] > 0.02 or row["high_adjusted"] < -0.02


def row_pvalue(differences, row):
    return differences[row["a"], row["b"], METRIC].judged.pvalue()


def test_a_significant_difference_alone_is_none_among_many():
    """p = 0.03 by itself; among twelve exploratory pairs without differences nothing is shown."""
    rng = np.random.default_rng(0)
    influence = rng.normal(size=(12, 60))
    influence = (influence - influence.mean(axis=1, keepdims=True)) / np.linalg.norm(influence, axis=1, keepdims=True)
    differences = {
        (f"a{number}", "b", METRIC): difference(2.25 if number == 0 else 0.1, influence[number]) for number in range(12)
    }
    alone = judge(table_of(differences).head(1), {("a0", "b", METRIC): differences["a0", "b", METRIC]}, PLAN)
    assert alone["p_adjusted"][0] == pytest.approx(0.028, abs=0.002)
    assert alone["verdict"][0].startswith("higher")
    assert alone["adjustment"][0] == "none, one comparison"
    together = judge(table_of(differences), differences, PLAN)
    assert together["p_adjusted"][0] == pytest.approx(12 * 0.028, abs=0.03)
    assert together["verdict"][0] == "inconclusive"
    assert set(together["family"]) == {EXPLORATORY}
    claimed = judge(table_of(differences), differences, PLAN, {("a0", "b", METRIC)})
    assert claimed["verdict"][0].startswith("higher")  # the only claim is not adjusted for what is explored
    assert (claimed["family"] == CONFIRMATORY).sum() == 1


def test_a_claim_about_the_pair_in_the_other_order_is_confirmatory_too():
    differences = {("a", "b", METRIC): difference(0.05, np.random.default_rng(0).normal(size=40) * 1e-3)}
    judged = judge(table_of(differences), differences, PLAN, {("b", "a", METRIC)}).assign(images=40)
    assert judged["family"][0] == CONFIRMATORY
    claims = [
        ClaimParams(claim="c", a=a, b=b, direction=direction, source="s")
        for a, b, direction in (("a", "b", "higher"), ("b", "a", "lower"), ("b", "a", "higher"))
    ]
    answers = answer_claims(judged, claims)
    assert list(answers["answer"]) == ["supported", "supported", "contradicted"]
    assert answers["difference"].tolist() == pytest.approx([0.05, -0.05, -0.05])
    assert answers["low_adjusted"][1] == pytest.approx(-answers["high_adjusted"][0])


def test_claims_about_other_images_are_correlated_by_the_lesions_they_share():
    rng = np.random.default_rng(1)
    influence = rng.normal(size=100)
    whole = difference(0.0, influence)
    first_half = difference(0.0, influence[:50], np.arange(50))
    second_half = difference(0.0, influence[50:], np.arange(100, 150))
    correlation = joint_correlation([whole, first_half, second_half])
    centred = influence - influence.mean()
    first = influence[:50] - influence[:50].mean()
    expected = centred[:50] @ first / np.linalg.norm(centred) / np.linalg.norm(first)
    assert correlation[0, 1] == pytest.approx(expected, abs=0.02)  # up to K / (K − 1)
    assert correlation[0, 2] == correlation[1, 2] == 0
    assert np.diag(correlation) == pytest.approx(1)


def test_verdicts_rest_on_trainings_where_there_are_several():
    a, b = simulated(300, seeds=3, seed=0, folds=5), simulated(300, seeds=3, seed=0, strength=1.7, folds=5)
    plan = Plan(
        (METRIC, "macro_auc"), METRIC, {METRIC: 0.02}, replicates=200, permutations=200, test_per_training=2 / 7
    )
    comparison = compare({"a": a, "b": b}, [("a", "b")], plan)
    judged = judge(comparison.table, comparison.differences, plan)
    with_verdict = judged[judged["verdict"] != ""]
    assert list(with_verdict["method"]) == [RECIPE_METHOD] * 2
    recipe_row = with_verdict.iloc[0]
    linear_row = judged[(judged["metric"] == METRIC) & (judged["method"] == LINEAR_METHOD)].iloc[0]
    assert recipe_row["high"] - recipe_row["low"] >= linear_row["high"] - linear_row["low"]
    # One question: every row of a metric has the same difference, but for the mean over folds.
    pooled = judged[(judged["metric"] == METRIC) & ~judged["method"].str.contains("folds")]
    assert pooled["difference"].to_numpy() == pytest.approx(recipe_row["difference"], abs=1e-6)


def test_one_training_each_is_judged_as_these_trained_models():
    a, b = simulated(300, seed=0), simulated(300, seed=0, strength=1.7)
    compared = compare({"a": a, "b": b}, [("a", "b")], PLAN)
    judged = judge(compared.table, compared.differences, PLAN)
    row = judged[judged["verdict"] != ""].iloc[0]
    assert row["about"] == TRAINED
    estimate = compared.differences["a", "b", METRIC].trained
    t = estimate.value / estimate.standard_error
    assert row["p_adjusted"] == pytest.approx(2 * stdtr(estimate.degrees, -abs(t)))


def test_models_that_differ_alike_on_every_lesion_are_not_said_to_agree():
    alike = {("a", "b", METRIC): difference(1.0, np.zeros(40)), ("a", "c", METRIC): difference(0.0, np.zeros(40))}
    verdicts = judge(table_of(alike), alike, PLAN)["verdict"].tolist()
    assert verdicts == [
        "no verdict: the same on every lesion, so that it has no variance",
        "no verdict: the models do not differ on any lesion",
    ]


def test_too_few_lesions_have_a_reason_and_no_verdict():
    a, b = simulated(300, seed=0), simulated(300, seed=0, strength=1.7)
    rows = np.flatnonzero(np.isin(a.lesions, np.unique(a.lesions)[:3]))
    few = {}
    for name, model in (("a", a), ("b", b)):
        few[name] = restrict_images(model, model.image_ids[rows])
    compared = compare(few, [("a", "b")], PLAN)
    judged = judge(compared.table, compared.differences, PLAN, {("a", "b", METRIC)}).assign(images=len(rows))
    row = judged[judged["family"] != ""].iloc[0]
    assert row["verdict"].startswith("no verdict: 3 lesions")
    assert np.isnan(row["p_adjusted"])
    claim = ClaimParams(claim="c", a="a", b="b", direction="higher", source="s")
    assert answer_claims(judged, [claim])["answer"][0].startswith("not answered: 3 lesions")
