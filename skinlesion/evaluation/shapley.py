"""Exact Shapley values: the contribution of each of a few inputs, averaged over every order of adding them.

References:
    [1] Shapley LS. A value for n-person games (1953). With 3 inputs all 8 sets are evaluated: nothing is sampled.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial

import numpy as np


def set_weights(inputs: Sequence[str]) -> dict[str, dict[frozenset[str], float]]:
    """Return for each input the weight of every set's value in its Shapley value [1].

    φ_i = Σ_{S without i} |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S)), written as one weight per set.
    """
    count = len(inputs)
    weights: dict[str, dict[frozenset[str], float]] = {}
    for added in inputs:
        others = [name for name in inputs if name != added]
        by_set: dict[frozenset[str], float] = {}
        for size in range(count):
            share = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                by_set[frozenset(chosen)] = -share
                by_set[frozenset((*chosen, added))] = share
        weights[added] = by_set
    return weights


def shapley_values(values: Mapping[frozenset[str], np.ndarray], inputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Return each input's Shapley values, in the shape of the values; they sum to v(all) − v(none).

    Args:
        values: set of inputs shown → the model's output (…), for every set of `inputs`.
    """
    return {
        name: np.sum([weight * np.asarray(values[chosen]) for chosen, weight in weights.items()], axis=0)
        for name, weights in set_weights(inputs).items()
    }
