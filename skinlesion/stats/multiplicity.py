"""Adjustment of p-values for multiple comparisons: Holm and Benjamini–Hochberg.

References:
    [1] Holm S. Scand J Stat 6, 65–70 (1979).
    [2] Benjamini Y, Hochberg Y. J R Stat Soc B 57, 289–300 (1995).
"""

import numpy as np


def holm(pvalues: np.ndarray) -> np.ndarray:
    """Return Holm-adjusted p-values (K,), which control the family-wise error rate under any dependence [1].

    Raises:
        ValueError: a value outside 0 to 1, or NaN.
    """
    pvalues = _checked(pvalues)
    order = np.argsort(pvalues, kind="stable")
    steps = pvalues[order] * np.arange(len(pvalues), 0, -1)
    adjusted = np.empty_like(pvalues)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def benjamini_hochberg(pvalues: np.ndarray) -> np.ndarray:
    """Return Benjamini–Hochberg-adjusted p-values (K,), which control the false discovery rate [2].

    Raises:
        ValueError: a value outside 0 to 1, or NaN.
    """
    pvalues = _checked(pvalues)
    order = np.argsort(pvalues, kind="stable")[::-1]
    steps = pvalues[order] * len(pvalues) / np.arange(len(pvalues), 0, -1)
    adjusted = np.empty_like(pvalues)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return adjusted


def _checked(pvalues: np.ndarray) -> np.ndarray:
    pvalues = np.asarray(pvalues, dtype=float)
    if pvalues.ndim != 1 or not ((pvalues >= 0) & (pvalues <= 1)).all():
        raise ValueError("p-values must be a vector of numbers in 0 to 1")
    return pvalues
