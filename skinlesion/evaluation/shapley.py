"""Exact Shapley values: what each of a few inputs adds, averaged over every order in which they could be shown.

References:
    [1] Shapley LS. A value for n-person games (1953). With 3 inputs all 8 sets are seen: nothing is sampled.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial

import numpy as np


def set_weights(inputs: Sequence[str]) -> dict[str, dict[frozenset[str], float]]:
    """Return for each input the weight of every set's value in its Shapley value [1].

    φ_i = Σ_{S without i} |S|! (n − |S| − 1)! / n! · (v(S ∪ i) − v(S)), written as one weight a set.
    """
    count = len(inputs)
    weights: dict[str, dict[frozenset[str], float]] = {}
    for one in inputs:
        others = [name for name in inputs if name != one]
        mine: dict[frozenset[str], float] = {}
        for size in range(count):
            share = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                mine[frozenset(chosen)] = -share
                mine[frozenset((*chosen, one))] = share
        weights[one] = mine
    return weights


def shapley_values(values: Mapping[frozenset[str], np.ndarray], inputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Return each input's Shapley values, in the shape of the values; they sum to v(all) − v(none).

    Args:
        values: set of inputs shown → what the model then says, every set of `inputs`.
    """
    return {
        one: np.sum([weight * np.asarray(values[chosen]) for chosen, weight in weights.items()], axis=0)
        for one, weights in set_weights(inputs).items()
    }
