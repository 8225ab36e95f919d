"""Binary decisions from a probability: thresholds at an operating point, net benefit, expected cost.

References:
    [1] Vickers AJ, Elkin EB. Decision curve analysis. Med Decis Making 26, 565–574 (2006).
    [2] Elkan C. The foundations of cost-sensitive learning. IJCAI 2001.
"""

import numpy as np

from skinlesion.evaluation.sums import SumStatistic, divide, mean
from skinlesion.vocabulary import CLASSES, MALIGNANT


def malignant_positions(classes: tuple[str, ...] = CLASSES) -> list[int]:
    """Return the positions of the malignant classes in `classes`."""
    return [position for position, name in enumerate(classes) if name in MALIGNANT]


#: Target of a decision → positions of the classes that are cases.
TARGETS: dict[str, tuple[int, ...]] = {
    "malignant": tuple(malignant_positions()),
    "melanoma": (CLASSES.index("mel"),),
}

#: Risks at which net benefit is given.
THRESHOLDS = np.arange(100) / 100


def cases_of(target: str, labels: np.ndarray) -> np.ndarray:
    """Return which images (N,) are cases of a target."""
    return np.isin(labels, TARGETS[target])


def risk_of(target: str, probabilities: np.ndarray) -> np.ndarray:
    """Return the probability (…,) of being a case, for probabilities (…, 7)."""
    risk: np.ndarray = probabilities[..., list(TARGETS[target])].sum(axis=-1)
    return risk


def threshold_at_specificity(positive: np.ndarray, scores: np.ndarray, specificity: float) -> float:
    """Return the lowest threshold t at which calling scores ≥ t leaves at least `specificity` of negatives uncalled.

    Args:
        positive: (N,) bool, of validation images.
        scores: (N,).
    """
    return _lowest(scores[~positive], specificity)


def threshold_at_sensitivity(positive: np.ndarray, scores: np.ndarray, sensitivity: float) -> float:
    """Return the highest threshold t at which calling scores ≥ t finds at least `sensitivity` of the positives."""
    descending = np.sort(scores[positive])[::-1]
    if not len(descending):
        return float("-inf")
    return float(descending[int(np.ceil(sensitivity * len(descending) - 1e-9)) - 1])


def _lowest(negatives: np.ndarray, specificity: float) -> float:
    """Return the smallest number above enough of `negatives`."""
    ascending = np.sort(negatives)
    needed = int(np.ceil(specificity * len(ascending) - 1e-9))  # so many must lie below the threshold
    if not needed:
        return float("-inf")
    return float(np.nextafter(ascending[needed - 1], np.inf))


def net_benefit(positive: np.ndarray, scores: np.ndarray, threshold: float) -> SumStatistic:
    """Return the net benefit at a risk threshold t in 0..1 (t < 1): TP/n − FP/n · t / (1 − t) [1].

    In units of true positives per image: t sets how many false positives one true positive is worth.
    """
    called = scores >= threshold
    columns = np.array([called & positive, called & ~positive, np.ones(len(scores))], dtype=float).T
    odds = threshold / (1 - threshold)
    return SumStatistic(columns, lambda totals: divide(totals[..., 0] - odds * totals[..., 1], totals[..., 2]))


def treat_all(positive: np.ndarray, threshold: float) -> SumStatistic:
    """Return the net benefit of calling every image a case."""
    return net_benefit(positive, np.ones(len(positive)), threshold)


def expected_cost(labels: np.ndarray, answers: np.ndarray, costs: np.ndarray) -> SumStatistic:
    """Return the mean cost of answers (N,) to images whose truth is labels (N,)."""
    return mean(costs[labels, answers])


def least_cost_answer(probabilities: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return the answer (N,) with the least expected cost under probabilities (N, C) [2]."""
    answers: np.ndarray = (probabilities @ costs).argmin(axis=1)
    return answers
