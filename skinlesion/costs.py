"""Costs of mistakes: what an answer costs when the truth is another class."""

from collections.abc import Mapping

import numpy as np

from skinlesion.vocabulary import CLASSES


def cost_matrix(costs: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """Return costs (7, 7), true class by answer: 0 for right answers, 1 for mistakes that `costs` does not list.

    Args:
        costs: true class → answer → cost of that mistake.
    """
    matrix: np.ndarray = 1 - np.eye(len(CLASSES))
    for truth, answers in costs.items():
        for answer, cost in answers.items():
            matrix[CLASSES.index(truth), CLASSES.index(answer)] = cost
    return matrix
