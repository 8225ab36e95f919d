"""Weights of ensembles: scipy's minimum, a greedy search, and what a useless or only member gets."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skinlesion.errors import UserError
from skinlesion.evaluation.ensembles import combine, member_weights


def simulated(models=3, images=400, seed=0):
    """Labels and probabilities (M, N, 7) of models of which the first knows most."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % 7)
    logits = rng.normal(size=(models, images, 7))
    for model in range(models):
        logits[model, np.arange(images), labels] += 2.0 / (model + 1)
    powers = np.exp(logits)
    return labels, powers / powers.sum(axis=2, keepdims=True)


def test_the_mean_is_the_mean():
    labels, probabilities = simulated()
    weights = member_weights("mean", labels, probabilities)
    np.testing.assert_allclose(combine(weights, probabilities), probabilities.mean(axis=0))


def test_mixture_weights_are_the_minimum_that_scipy_finds():
    labels, probabilities = simulated()
    labels = np.where(labels > 3, 0, labels)  # uneven classes: each counts the same
    weights = member_weights("weighted", labels, probabilities)
    true_class_probabilities = probabilities[:, np.arange(len(labels)), labels]
    image = 1 / np.bincount(labels)[labels]

    def loss(mixture):
        return -(image * np.log(mixture @ true_class_probabilities)).sum() / image.sum()

    simplex = {"type": "eq", "fun": lambda mixture: mixture.sum() - 1}
    optimum = minimize(loss, np.full(3, 1 / 3), bounds=[(0, 1)] * 3, constraints=simplex, tol=1e-12)
    np.testing.assert_allclose(weights, optimum.x, atol=1e-3)
    assert weights.sum() == pytest.approx(1)


def test_greedy_starts_with_the_best_and_is_never_worse():
    labels, probabilities = simulated()
    weights = member_weights("greedy", labels, probabilities)

    def balanced(predicted):
        return np.mean([(predicted[labels == c] == c).mean() for c in range(7)])

    alone = [balanced(layer.argmax(1)) for layer in probabilities]
    assert balanced(combine(weights, probabilities).argmax(1)) >= max(alone)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0


@pytest.mark.parametrize("method", ["mean", "weighted", "greedy"])
def test_one_member_is_itself(method):
    labels, probabilities = simulated(models=1)
    np.testing.assert_allclose(member_weights(method, labels, probabilities), [1.0])


def test_a_useless_member_gets_little():
    labels, probabilities = simulated(models=2)
    probabilities[1] = 1 / 7
    for method in ("weighted", "greedy"):
        assert member_weights(method, labels, probabilities)[0] > 0.8


def test_an_unknown_method_names_the_known():
    with pytest.raises(UserError, match="mean, weighted, greedy"):
        member_weights("median", *simulated())
