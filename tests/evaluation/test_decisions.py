"""Operating points, rankings, net benefit and cost: scikit-learn, hand-computed tables, identities at the ends."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from skinlesion.costs import cost_matrix
from skinlesion.evaluation import decisions
from skinlesion.evaluation.ranking import average_precision, partial_auc, rank
from skinlesion.vocabulary import CLASSES
from tests.simulated import simulated


@pytest.fixture
def scored():
    predictions = simulated(500)
    return predictions.labels == 4, np.round(predictions.probabilities[0][:, 4], 2)  # rounded: many ties


def test_average_precision_and_partial_auc_are_scikit_learns(scored):
    positive, scores = scored
    unit_weights = np.ones((len(scores), 1))
    ranking = rank(positive, scores)
    assert average_precision(ranking, unit_weights)[0] == pytest.approx(average_precision_score(positive, scores))
    for highest in (0.05, 0.1, 0.5):
        expected = roc_auc_score(positive, scores, max_fpr=highest)
        assert partial_auc(ranking, unit_weights, highest)[0] == pytest.approx(expected)
    whole = partial_auc(ranking, unit_weights, 1 - 1e-12)[0]
    assert whole == pytest.approx(roc_auc_score(positive, scores), abs=1e-9)


def test_a_weight_is_as_many_copies(scored):
    positive, scores = scored
    weights = np.random.default_rng(0).integers(0, 4, (len(scores), 3))
    for column in range(3):
        copies = np.repeat(np.arange(len(scores)), weights[:, column])
        ranking, plain = rank(positive, scores), rank(positive[copies], scores[copies])
        unit_weights = np.ones((len(copies), 1))
        for figure in (average_precision, lambda ranked, w: partial_auc(ranked, w, 0.1)):
            assert figure(ranking, weights)[column] == pytest.approx(figure(plain, unit_weights)[0])


def test_thresholds_reach_what_they_were_set_for_and_no_lower_one_does():
    rng = np.random.default_rng(0)
    for _ in range(50):
        scores = np.round(rng.random(60), 1)
        positive = rng.random(60) < 0.3 + 0.4 * scores
        for level in (0.5, 0.9, 0.95, 1.0):
            at = decisions.threshold_at_specificity(positive, scores, level)
            assert (scores[~positive] < at).mean() >= level
            lower = scores[scores < at]
            if len(lower):
                assert (scores[~positive] < lower.max()).mean() < level
            at = decisions.threshold_at_sensitivity(positive, scores, level)
            assert (scores[positive] >= at).mean() >= level
            higher = scores[scores > at]
            if len(higher):
                assert (scores[positive] >= higher.min()).mean() < level


def test_net_benefit_by_hand():
    positive = np.array([1, 1, 0, 0, 0], dtype=bool)
    scores = np.array([0.9, 0.2, 0.6, 0.3, 0.1])
    # At 0.25: one true positive, two false positives at 1/3 each.
    assert decisions.net_benefit(positive, scores, 0.25).value == pytest.approx((1 - 2 / 3) / 5)


def test_the_decision_curve_is_treat_all_at_the_lowest_and_treat_none_at_the_highest_threshold(scored):
    positive, scores = scored
    assert decisions.net_benefit(positive, scores, 0.0).value == decisions.treat_all(positive, 0.0).value
    assert decisions.net_benefit(positive, scores, 0.0).value == pytest.approx(positive.mean())
    above_all = float(scores.max()) + 1e-6
    assert decisions.net_benefit(positive, scores, min(above_all, 0.999)).value == 0
    share = positive.mean()
    assert decisions.treat_all(positive, share).value == pytest.approx(0, abs=1e-12)


def test_a_perfect_model_has_the_greatest_net_benefit_there_is(scored):
    positive, _ = scored
    for threshold in (0.01, 0.3, 0.9):
        assert decisions.net_benefit(positive, positive.astype(float), threshold).value == pytest.approx(
            positive.mean()
        )


def test_costs_by_hand():
    costs = cost_matrix({"mel": {"nv": 10}})
    mel, nv, bkl = (CLASSES.index(name) for name in ("mel", "nv", "bkl"))
    assert (costs[mel, nv], costs[nv, mel], costs[mel, mel]) == (10, 1, 0)
    cost = decisions.expected_cost(np.array([mel, mel, nv]), np.array([nv, bkl, nv]), costs)
    assert cost.value == pytest.approx(11 / 3)
    p = np.zeros((1, 7))
    p[0, [mel, nv]] = 0.2, 0.8
    assert decisions.least_cost_answer(p, costs)[0] == mel  # 0.8 · 1 is less than 0.2 · 10
    assert decisions.least_cost_answer(p, cost_matrix({}))[0] == nv


def test_without_costs_the_expected_cost_is_the_error_rate_and_the_cheapest_answer_the_likeliest():
    predictions = simulated()
    answers = decisions.least_cost_answer(predictions.probabilities[0], cost_matrix({}))
    np.testing.assert_array_equal(answers, predictions.probabilities[0].argmax(axis=1))
    cost = decisions.expected_cost(predictions.labels, answers, cost_matrix({})).value
    assert cost == pytest.approx((answers != predictions.labels).mean())
