"""Predictive uncertainty, and selective classification: accuracy when the least certain images are deferred.

References:
    [1] Depeweg S et al. Decomposition of uncertainty in Bayesian deep learning. ICML 2018 (mutual information).
    [2] El-Yaniv R, Wiener Y. J Mach Learn Res 11, 1605–1641 (2010); Geifman Y et al. ICLR 2019 (risk–coverage, AURC).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


def predictive_entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy in nats (…,) of probabilities (…, C)."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1))
    entropy: np.ndarray = -(probabilities * logs).sum(axis=-1)
    return entropy


def mutual_information(probabilities: np.ndarray) -> np.ndarray:
    """Return the mutual information (N,) in nats between trainings: H(mean over S) − mean over S of H, 0 if equal [1].

    Args:
        probabilities: (S, N, C), one layer per training (seed, fold).
    """
    information = predictive_entropy(probabilities.mean(axis=0)) - predictive_entropy(probabilities).mean(axis=0)
    return np.maximum(information, 0)  # rounding


@dataclass(frozen=True)
class Selective:
    """Images by falling certainty, and the errors of a model on them."""

    unit: np.ndarray  # (N,) whose weight counts for each image, in that order
    errors: np.ndarray  # (N,) in that order, 0 or 1

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return coverage (N,) and the error rate (N,) among the images answered so far [2]."""
        answered = np.arange(1, len(self.errors) + 1)
        return answered / len(self.errors), np.cumsum(self.errors) / answered

    def figures(self, coverages: Sequence[float]) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function of unit weights (U, B): AURC and the accuracy at each coverage, as (B, 1 + len).

        AURC is the mean error rate over all coverages, lower is better [2]; the accuracy at a coverage is that among
        the most certain images that make it up.
        """

        def evaluate(weights: np.ndarray) -> np.ndarray:
            return np.stack([self._figures(column, coverages) for column in weights.T])

        return evaluate

    def _figures(self, weights: np.ndarray, coverages: Sequence[float]) -> np.ndarray:
        """Return `figures` of one resample's weights (U,): one by one, arrays stay in the processor's cache."""
        ranked = weights.astype(float)[self.unit]
        answered = np.cumsum(ranked)
        risk = np.cumsum(ranked * self.errors)
        np.divide(risk, answered, out=risk, where=answered > 0)
        wanted = np.multiply(coverages, answered[-1] * (1 - 1e-9))
        last = np.searchsorted(answered, wanted)  # the first place that reaches it
        return np.append(ranked @ risk / answered[-1], 1 - risk[last])


def select(correct: np.ndarray, certainty: np.ndarray, unit: np.ndarray | None = None) -> Selective:
    """Return the images by falling certainty; ties keep their order.

    Args:
        correct: (N,) bool.
        certainty: (N,), higher is more certain.
        unit: (N,) the unit, from 0, that is weighted as a whole; each image by itself by default.
    """
    order = np.argsort(-certainty, kind="stable")
    return Selective(order if unit is None else unit[order], 1.0 - correct[order])
