"""Models at their own rules: fitted on validation parts alone, compared like with like."""

from dataclasses import replace

import numpy as np
from scipy.special import softmax

from skinlesion.analysis.own_rules import at_own_rule, best_for, compare_at_own_rules, fit_rules, rules_table
from skinlesion.analysis.plan import Plan
from skinlesion.evaluation.predictions import Predictions
from tests.evaluation.test_decision_rules import SHARES, drawn


def predictions_of(images, seed):
    labels, p = drawn(images, seed)
    ids = np.array([f"i{seed}-{number:05d}" for number in range(images)])
    folds = np.arange(images)[None] % 5
    return Predictions(ids, ids, labels, folds, (0,), (0,), p[None])


def weighted(predictions):
    return replace(predictions, probabilities=softmax(np.log(predictions.probabilities) - np.log(SHARES), axis=2))


def test_labels_of_test_parts_change_no_answer():
    tested, validation = predictions_of(2000, 0), predictions_of(2000, 1)
    permuted = replace(tested, labels=np.roll(tested.labels, 1))
    for objective in ("balanced_accuracy", "macro_f1"):
        answers = [
            at_own_rule(predictions, fit_rules(predictions, validation), objective).probabilities.argmax(axis=2)
            for predictions in (tested, permuted)
        ]
        np.testing.assert_array_equal(*answers)


def test_each_run_has_the_rule_of_its_own_validation_part():
    tested, validation = predictions_of(2000, 2), predictions_of(3000, 3)
    before = fit_rules(tested, validation)
    changed = validation.probabilities.copy()
    changed[:, validation.folds[0] == 4] = weighted(validation).probabilities[:, validation.folds[0] == 4]
    after = fit_rules(tested, replace(validation, probabilities=changed))
    same = [np.allclose(before[0, 0, fold]["macro_f1"].bias, after[0, 0, fold]["macro_f1"].bias) for fold in range(5)]
    assert same == [True, True, True, True, False]


def test_the_table_shows_a_model_at_its_best_for_each_metric():
    tested, validation = predictions_of(6000, 4), predictions_of(3000, 5)
    table = rules_table(tested, fit_rules(tested, validation), 0.95).set_index(["rule", "metric"])
    for objective in ("balanced_accuracy", "macro_f1"):
        values = table["value"].xs(objective, level="metric")
        assert values.idxmax() == best_for(objective)
    assert (table["low"] < table["value"]).all()


def test_class_weights_are_no_difference_at_own_rules():
    """By their highest probabilities the two models differ by several points; they know exactly the same."""
    tested, validation = predictions_of(6000, 6), predictions_of(3000, 7)
    models = {"plain": tested, "weighted": weighted(tested)}
    fitted_on = {"plain": validation, "weighted": weighted(validation)}
    plan = Plan(("balanced_accuracy", "macro_f1", "macro_auc"), "balanced_accuracy", {"balanced_accuracy": 0.02})
    table = compare_at_own_rules(models, fitted_on, [("plain", "weighted")], plan)
    judged = table[table["verdict"] != ""].set_index("metric")
    assert list(judged.index) == ["balanced_accuracy", "macro_f1"]
    assert (judged["difference"].abs() < 0.01).all()
    gain = [
        np.mean([(p[rows].argmax(axis=1) == dx).mean() for dx in range(7) for rows in [tested.labels == dx]])
        for p in (tested.probabilities[0], models["weighted"].probabilities[0])
    ]
    assert gain[1] - gain[0] > 0.05
