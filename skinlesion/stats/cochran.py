"""Cochran's Q: are several classifiers right equally often on the same images?

References:
    [1] Cochran WG. Biometrika 37, 256–266 (1950).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc


@dataclass(frozen=True)
class CochranResult:
    """Q, χ² with `degrees` degrees of freedom under equality, and its p-value."""

    statistic: float
    degrees: int
    pvalue: float


def cochran_q(correct: np.ndarray) -> CochranResult:
    """Return Cochran's Q for hits (N, M) bool of M classifiers; images count as independent.

    Where every image is either hit by all or missed by all nothing speaks against equality: Q is 0 and p is 1.

    Raises:
        ValueError: fewer than two classifiers.
    """
    correct = np.asarray(correct, dtype=bool)
    if correct.ndim != 2 or correct.shape[1] < 2:
        raise ValueError(f"expected hits (N, M) of at least two classifiers, got {correct.shape}")
    models = correct.shape[1]
    columns, rows = correct.sum(axis=0), correct.sum(axis=1)
    total = columns.sum()
    below = float(models * total - (rows.astype(float) ** 2).sum())
    above = (models - 1) * (models * float((columns.astype(float) ** 2).sum()) - float(total) ** 2)
    statistic = above / below if below else 0.0
    return CochranResult(float(statistic), models - 1, float(chdtrc(models - 1, statistic)))
