"""Decision rules: the best answers where they are known, and the same answers whatever a model was weighted by."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, f1_score

from skinlesion.evaluation.decision_rules import OBJECTIVES, fit_decision_rule

SHARES = np.array([0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02])  # about HAM10000's


def drawn(images, seed, signal=2.0):
    """Return labels (N,) and the true probabilities (N, 7) of the classes, given what a perfect model sees."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(7, images, p=SHARES)
    features = rng.normal(size=(images, 7)) + signal * np.eye(7)[labels]
    return labels, softmax(signal * features + np.log(SHARES), axis=1)  # Bayes' rule for normal densities


def value(objective, labels, answers):
    if objective == "balanced_accuracy":
        return balanced_accuracy_score(labels, answers)
    return f1_score(labels, answers, average="macro")


def test_balanced_accuracy_is_maximised_by_logit_adjustment():
    """Menon et al. 2021: with τ = 1 the answer is the class of the largest p / π."""
    labels, p = drawn(20_000, 0)
    rule = fit_decision_rule("balanced_accuracy", labels, p)
    fresh_labels, fresh = drawn(50_000, 1)
    oracle = (fresh / SHARES).argmax(axis=1)
    assert (rule.answers(fresh) == oracle).mean() > 0.98
    best = value("balanced_accuracy", fresh_labels, oracle)
    assert value("balanced_accuracy", fresh_labels, rule.answers(fresh)) > best - 0.003
    assert best > value("balanced_accuracy", fresh_labels, fresh.argmax(axis=1)) + 0.05


def test_macro_f1_is_as_good_as_a_search_over_biases():
    labels, p = drawn(20_000, 2)
    rule = fit_decision_rule("macro_f1", labels, p)
    fresh_labels, fresh = drawn(50_000, 3)
    logs = np.log(fresh)
    best, bias = -1.0, np.zeros(7)
    for _ in range(2):  # one class after the other, on the very images that are scored
        for place in range(7):
            for shift in np.linspace(-2, 2, 21):
                trial = bias.copy()
                trial[place] = shift
                score = value("macro_f1", fresh_labels, (logs + trial).argmax(axis=1))
                if score > best:
                    best, bias = score, trial
    achieved = value("macro_f1", fresh_labels, rule.answers(fresh))
    assert achieved > best - 0.005
    assert achieved > value("macro_f1", fresh_labels, fresh.argmax(axis=1))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_class_weights_and_overconfidence_change_no_answer(objective):
    """What training with balanced class weights does to probabilities, and a temperature, are undone."""
    labels, p = drawn(5000, 4)
    weighted = softmax(1.7 * (np.log(p) - np.log(SHARES)), axis=1)
    plain, other = (fit_decision_rule(objective, labels, probabilities) for probabilities in (p, weighted))
    assert (plain.answers(p) == other.answers(weighted)).mean() > 0.995


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_thousand_validation_images_are_enough_to_gain(objective):
    gains = []
    for seed in range(10):
        rule = fit_decision_rule(objective, *drawn(1000, 100 + seed))
        labels, p = drawn(5000, 200 + seed)
        gains.append(value(objective, labels, rule.answers(p)) - value(objective, labels, p.argmax(axis=1)))
    assert np.mean(gains) > 0


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scores_are_rows_whose_largest_entry_is_the_answer(objective):
    labels, p = drawn(1000, 5)
    rule = fit_decision_rule(objective, labels, p)
    scores = rule.apply(p)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores > 0).all()
    np.testing.assert_array_equal(scores.argmax(axis=1), rule.answers(p))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_class_without_validation_images_is_allowed(objective):
    labels, p = drawn(1000, 6)
    kept = labels != 3
    rule = fit_decision_rule(objective, labels[kept], p[kept])
    assert rule.bias[3] == 0
    assert np.isfinite(rule.apply(p)).all()
    assert (rule.scale[3], rule.offset[3]) == (rule.scale.min(), rule.offset.max())
    assert (rule.answers(p) == 3).sum() <= (p.argmax(axis=1) == 3).sum()


def test_an_unknown_objective_is_named():
    with pytest.raises(ValueError, match="accuracy is not one of balanced_accuracy, macro_f1"):
        fit_decision_rule("accuracy", *drawn(100, 0))
