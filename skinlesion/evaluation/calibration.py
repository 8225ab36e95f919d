"""Temperature scaling on arrays (Guo et al. 2017): fitted on validation predictions only."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_SMALLEST = 1e-12
_BOUNDS = (np.log(0.05), np.log(20.0))


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the temperature T in 0.05..20 that minimises the NLL of softmax(log p / T).

    Args:
        labels: (N,) positions of the true classes, of validation images.
        probabilities: (N, C); log p differs from the logits by a constant a row, which softmax ignores.
    """
    logits = np.log(np.clip(probabilities, _SMALLEST, 1))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=_BOUNDS, method="bounded", options={"xatol": 1e-6}).x))
