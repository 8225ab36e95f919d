"""The lesion bootstrap: the same draws as the paired bootstrap, sums equal to a loop's, intervals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from skinlesion.analysis.estimates import estimate_sums
from skinlesion.analysis.plan import Plan
from skinlesion.evaluation.decisions import TARGETS
from skinlesion.evaluation.ranking import average_precision, rank
from skinlesion.evaluation.reliability import brier
from skinlesion.evaluation.sums import SumStatistic, divide, mean, ratio, sparse_columns
from skinlesion.stats import bootstrap as bootstrap_module
from skinlesion.stats import resampling
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.lesion_bootstrap import Estimate, LesionBootstrap, mean_estimate, mixture
from skinlesion.stats.permutation import permutation_test
from skinlesion.stats.resampling import Schema
from skinlesion.stats.weighted_auc import plan_auc, weighted_auc
from skinlesion.vocabulary import CLASSES, MALIGNANT
from tests.simulated import simulated

REPLICATES = 150  # no multiple of a block


@pytest.fixture(scope="module")
def simulated_resamples():
    predictions = simulated(200, seeds=2)
    return predictions, LesionBootstrap(predictions.lesions, replicates=REPLICATES, seed=3)


def test_figures_from_sums_have_the_draws_of_the_paired_bootstrap(simulated_resamples):
    predictions, resamples = simulated_resamples
    expected = bootstrap(
        predictions.labels, [predictions.probabilities], predictions.lesions,
        ["accuracy", "sensitivity_mel", "malignant_auc"], Schema(CLASSES, MALIGNANT), replicates=REPLICATES, seed=3,
    )  # fmt: skip
    right = [layer.argmax(axis=1) == predictions.labels for layer in predictions.probabilities]
    cases = predictions.labels == CLASSES.index("mel")
    estimates = estimate_sums(
        resamples,
        {"accuracy": [mean(hit) for hit in right], "sensitivity_mel": [ratio(hit & cases, cases) for hit in right]},
    )
    malignant = list(TARGETS["malignant"])
    plans = [
        plan_auc(
            np.isin(predictions.labels, malignant), layer[:, malignant].sum(axis=1), resamples.lesion, resamples.lesions
        )
        for layer in predictions.probabilities
    ]
    estimates["malignant_auc"] = mean_estimate([
        Estimate(
            float(weighted_auc(plan, np.ones((resamples.lesions, 1), np.float32))[0]),
            resamples.over_units(lambda weights, plan=plan: weighted_auc(plan, weights)),
        )
        for plan in plans
    ])  # fmt: skip
    for metric, estimate in estimates.items():
        assert estimate.value == pytest.approx(expected.estimate(0, metric), abs=1e-12)
        np.testing.assert_allclose(estimate.draws, expected.draws(0, metric), atol=1e-12)


def test_totals_are_what_a_loop_over_resamples_adds_up(simulated_resamples):
    predictions, resamples = simulated_resamples
    columns = np.stack(
        [predictions.probabilities[0].max(axis=1), predictions.labels == 5], axis=1
    )  # fractions, and whole numbers
    totals = resamples.totals(columns)
    assert totals.shape == (REPLICATES, 2)
    for replicate in (0, 77, REPLICATES - 1):
        weights = resamples.weights[resamples.lesion, replicate]
        np.testing.assert_allclose(totals[replicate], weights.astype(float) @ columns, rtol=1e-12)


def test_sparse_columns_have_the_totals_of_dense_columns(simulated_resamples):
    predictions, resamples = simulated_resamples
    places = np.stack([predictions.labels, 7 + predictions.probabilities[0].argmax(axis=1)], axis=1)
    values = np.stack([predictions.probabilities[0].max(axis=1), np.ones(len(predictions.labels))], axis=1)
    sparse = sparse_columns(places, values, 300)  # more columns than are summed at once
    assert sparse.nnz == 2 * len(predictions.labels)
    dense = np.zeros((len(predictions.labels), 300))
    np.put_along_axis(dense, places, values, axis=1)
    np.testing.assert_array_equal(sparse.toarray(), dense)
    np.testing.assert_allclose(resamples.totals(sparse), resamples.totals(dense), rtol=1e-12)
    statistics = [SumStatistic(columns, lambda sums: sums[..., 3]) for columns in (sparse, dense)]
    estimates = estimate_sums(resamples, ((number, [statistic]) for number, statistic in enumerate(statistics)))
    assert estimates[0].value == pytest.approx(estimates[1].value)
    np.testing.assert_allclose(estimates[0].draws, estimates[1].draws, rtol=1e-12)


def test_many_images_have_fewer_replicates(monkeypatch):
    monkeypatch.setattr(bootstrap_module, "_RESAMPLED_IMAGES", 60_000)
    assert LesionBootstrap(np.arange(100), replicates=700, seed=0).replicates == 600
    assert LesionBootstrap(np.arange(60), replicates=700, seed=0).replicates == 700
    assert LesionBootstrap(np.arange(500), replicates=700, seed=0).replicates == 500  # never fewer
    assert LesionBootstrap(np.arange(500), replicates=150, seed=0).replicates == 150  # but where fewer are asked for


def test_a_comparison_of_many_images_has_fewer_replicates_unless_given():
    plan = Plan(("accuracy",), "accuracy")
    expected = {10_015: 10_000, 20_000: 10_000, 100_000: 2_000, 10**7: 500}
    assert {images: plan.replicates_for(images) for images in expected} == expected
    assert replace(plan, replicates=10_000).replicates_for(10**6) == 10_000


def test_an_order_is_resampled_by_image_weights(simulated_resamples):
    predictions, resamples = simulated_resamples
    positive, scores = predictions.labels == 4, predictions.probabilities[0][:, 4]
    ranking = rank(positive, scores, resamples.unit)
    draws = resamples.over_units(lambda weights: average_precision(ranking, weights))
    copies = np.repeat(np.arange(len(scores)), resamples.weights[resamples.lesion, 5].astype(int))
    from sklearn.metrics import average_precision_score

    assert draws[5] == pytest.approx(average_precision_score(positive[copies], scores[copies]))


def test_every_resample_draws_as_many_lesions_as_there_are(simulated_resamples):
    predictions, resamples = simulated_resamples
    assert (resamples.weights.sum(axis=0) == len(np.unique(predictions.lesions))).all()


def test_statistics_that_share_columns_are_resampled_once(simulated_resamples):
    predictions, resamples = simulated_resamples
    shared = brier(predictions.labels, predictions.probabilities[0])
    doubled = SumStatistic(shared.columns, lambda totals: 2 * divide(totals[..., 0], totals[..., 1]))
    estimates = estimate_sums(resamples, {"once": [shared], "twice": [doubled]})
    np.testing.assert_allclose(estimates["twice"].draws, 2 * estimates["once"].draws)


def test_intervals_and_p_values():
    draws = np.arange(1, 1001) / 1000
    estimate = Estimate(0.4, draws)
    low, high = estimate.interval(0.95)
    assert (low, high) == (pytest.approx(np.quantile(draws, 0.025)), pytest.approx(np.quantile(draws, 0.975)))
    basic = estimate.interval(0.95, "basic")
    assert basic == (pytest.approx(0.8 - high), pytest.approx(0.8 - low))
    assert estimate.pvalue() == pytest.approx(2 / 1001)
    assert Estimate(0.0, draws - np.median(draws)).pvalue() > 0.99
    with pytest.raises(ValueError, match="percentile"):
        estimate.interval(0.95, "bca")


def test_what_has_no_value_has_no_interval():
    undefined = Estimate(float("nan"), np.full(10, np.nan))
    assert np.isnan(undefined.interval()).all()
    assert np.isnan(undefined.pvalue())


def test_a_mixture_leaves_out_what_has_no_weight():
    constant, undefined = Estimate(1.0, np.ones(5)), Estimate(float("nan"), np.full(5, np.nan))
    assert mixture([1, 0], [constant, undefined]).value == 1
    assert (mixture([0.5, 0.5], [constant, constant - constant]).draws == 0.5).all()


def test_many_lesions_are_resampled_in_groups(monkeypatch):
    lesions = np.repeat(np.arange(4000), 2)
    by_lesion = LesionBootstrap(lesions, replicates=2000, seed=0)
    assert by_lesion.units == 4000
    assert (by_lesion.unit == lesions).all()
    monkeypatch.setattr(resampling, "MOST_UNITS", 1000)
    by_group = LesionBootstrap(lesions, replicates=2000, seed=0)
    assert by_group.units == 1000
    assert by_group.lesions == 4000
    assert (by_group.unit[::2] == by_group.unit[1::2]).all()  # a lesion is in one group
    assert (np.bincount(by_group.unit) == 8).all()
    # Groups have the spread of lesions, and not that of images.
    values = np.repeat(np.random.default_rng(1).normal(size=4000), 2)
    spreads = [resamples.totals(values[:, None])[:, 0].std() / 8000 for resamples in (by_lesion, by_group)]
    assert spreads == pytest.approx([4000**-0.5] * 2, rel=0.06)


def test_comparisons_of_many_lesions_resample_and_swap_groups(monkeypatch):
    rng = np.random.default_rng(0)
    lesions, labels = np.repeat(np.arange(3000), 2), rng.integers(0, 2, 6000)
    models = [softmax(rng.normal(size=(1, 6000, 2)) + skill * np.eye(2)[labels], axis=2) for skill in (1.0, 1.1)]
    schema = Schema(("x", "y"))

    def results():
        drawn = bootstrap(labels, models, lesions, ["accuracy", "macro_auc"], schema, replicates=1000, seed=0)
        swapped = permutation_test(labels, *models, lesions, ["accuracy"], schema, permutations=2000, seed=0)
        spreads = [np.std(drawn.draws(1, metric) - drawn.draws(0, metric)) for metric in drawn.metrics]
        return spreads, swapped["accuracy"].pvalue

    spreads, pvalue = results()
    monkeypatch.setattr(resampling, "MOST_UNITS", 500)
    grouped_spreads, grouped_pvalue = results()
    assert grouped_spreads == pytest.approx(spreads, rel=0.1)
    assert grouped_spreads != spreads
    assert grouped_pvalue == pytest.approx(pvalue, abs=0.05)
