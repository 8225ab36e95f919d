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

    order: np.ndarray  # (N,)
    errors: np.ndarray  # (N,) float32 in that order, 0 or 1

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return coverage (N,) and the error rate (N,) among the images answered so far [2]."""
        answered = np.arange(1, len(self.errors) + 1)
        return answered / len(self.errors), np.cumsum(self.errors) / answered

    def figures(self, coverages: Sequence[float]) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function of image weights (N, B): AURC and the accuracy at each coverage, as (B, 1 + len).

        AURC is the mean error rate over all coverages, lower is better [2]; the accuracy at a coverage is that among
        the most certain images that make it up.
        """

        def evaluate(weights: np.ndarray) -> np.ndarray:
            ranked = weights[self.order]  # (N, B)
            answered = np.cumsum(ranked, axis=0, dtype=float)
            risk = np.cumsum(ranked * self.errors[:, None], axis=0, dtype=float)
            np.divide(risk, answered, out=risk, where=answered > 0)
            figures = [np.einsum("nb,nb->b", ranked, risk) / answered[-1]]
            for coverage in coverages:
                wanted = coverage * answered[-1] * (1 - 1e-9)
                last = (answered < wanted).sum(axis=0)  # the first place that reaches it
                figures.append(1 - risk[last, np.arange(risk.shape[1])])
            return np.stack(figures, axis=1)

        return evaluate


def select(correct: np.ndarray, certainty: np.ndarray) -> Selective:
    """Return the images by falling certainty; ties keep their order.

    Args:
        correct: (N,) bool.
        certainty: (N,), higher is more certain.
    """
    order = np.argsort(-certainty, kind="stable")
    return Selective(order, 1 - correct[order].astype(np.float32))
