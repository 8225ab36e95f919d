"""Average precision and partial AUC of weighted images: how well a score ranks positives before negatives.

References:
    [1] scikit-learn, `average_precision_score`: Σ (recall_k − recall_{k−1}) · precision_k, no interpolation.
    [2] McClish DK. Med Decis Making 9, 190–195 (1989): partial area and its standardised form.
"""

from dataclasses import dataclass

import numpy as np

from skinlesion.evaluation.sums import divide


@dataclass(frozen=True)
class Ranking:
    """Images by falling score, tied ones together, and the places between which the ROC curve is straight."""

    unit: np.ndarray  # (N,) whose weight counts for each image, in that order
    positive: np.ndarray  # (N,) bool, in that order
    ends: np.ndarray  # (K,) the last place of each distinct score with positives and of the score before it, and N − 1

    def steps(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weight of positives and of negatives at or above the scores of `ends`, (K, B) each.

        Args:
            weights: (U, B), of the units.
        """
        positives = np.flatnonzero(self.positive)
        among = np.searchsorted(positives, self.ends, side="right")  # positives up to each end
        answered = np.empty((weights.shape[1], len(self.ends)))
        hits = np.empty_like(answered)
        for row, column in enumerate(weights.T):  # one by one: arrays stay in the processor's cache
            ranked = column.astype(float)[self.unit]
            answered[row] = np.cumsum(ranked)[self.ends]
            hits[row] = np.append(0, np.cumsum(ranked[positives]))[among]
        return hits.T, (answered - hits).T


def rank(positive: np.ndarray, scores: np.ndarray, unit: np.ndarray | None = None) -> Ranking:
    """Return images by falling score.

    Args:
        positive: (N,) bool.
        scores: (N,).
        unit: (N,) the unit, from 0, that is weighted as a whole; each image by itself by default.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    with_positives = np.unique(np.searchsorted(ends, np.flatnonzero(positive[order])))
    selected = np.union1d(with_positives, np.maximum(with_positives - 1, 0))
    return Ranking(order if unit is None else unit[order], positive[order], np.union1d(ends[selected], ends[-1:]))


def average_precision(ranking: Ranking, weights: np.ndarray) -> np.ndarray:
    """Return average precision (B,) in 0..1 for unit weights (U, B), NaN without positives [1]."""
    return _average_precision(*ranking.steps(weights))


def partial_auc(ranking: Ranking, weights: np.ndarray, highest: float) -> np.ndarray:
    """Return the AUC (B,) up to a false-positive rate of `highest`, standardised to 0.5 (chance) … 1 (perfect) [2].

    NaN where a side has no weight.
    """
    return _partial_auc(*ranking.steps(weights), highest)


def precision_and_partial_auc(ranking: Ranking, weights: np.ndarray, highest: float) -> np.ndarray:
    """Return both (B, 2), which share the sorting of the weights."""
    hits, false = ranking.steps(weights)
    return np.stack([_average_precision(hits, false), _partial_auc(hits, false, highest)], axis=1)


def _average_precision(hits: np.ndarray, false: np.ndarray) -> np.ndarray:
    gained = np.diff(hits, axis=0, prepend=0)
    return divide((gained * divide(hits, hits + false)).sum(axis=0, where=gained > 0), hits[-1])


def _partial_auc(hits: np.ndarray, false: np.ndarray, highest: float) -> np.ndarray:
    sensitivity = divide(hits, hits[-1])
    rate = divide(false, false[-1])
    start = np.zeros((1, hits.shape[1]))
    x, y = np.vstack([start, rate]), np.vstack([start, sensitivity])
    left, right = x[:-1], x[1:]
    width = np.minimum(right, highest) - np.minimum(left, highest)
    slope = np.divide(y[1:] - y[:-1], right - left, out=np.zeros_like(left), where=right > left)
    area = (width * (y[:-1] + slope * width / 2)).sum(axis=0)  # NaN where a side is empty
    chance = highest**2 / 2
    return np.asarray((1 + (area - chance) / (highest - chance)) / 2)
