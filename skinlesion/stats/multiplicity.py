"""Adjustment of p-values for multiple comparisons: Holm, and Benjamini–Hochberg with intervals that agree.

References:
    [1] Holm S. Scand J Stat 6, 65–70 (1979).
    [2] Benjamini Y, Hochberg Y. J R Stat Soc B 57, 289–300 (1995).
    [3] Benjamini Y, Yekutieli D. J Am Stat Assoc 100, 71–81 (2005) (false coverage rate).
"""

import numpy as np
from scipy.stats import false_discovery_control


def holm(pvalues: np.ndarray) -> np.ndarray:
    """Return Holm-adjusted p-values (K,), which control the family-wise error rate under any dependence [1].

    Raises:
        ValueError: a value outside 0 to 1, or NaN.
    """
    pvalues = checked_pvalues(pvalues)
    order = np.argsort(pvalues, kind="stable")
    steps = pvalues[order] * np.arange(len(pvalues), 0, -1)
    adjusted = np.empty_like(pvalues)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def holm_of_defined(pvalues: np.ndarray) -> np.ndarray:
    """Return Holm-adjusted p-values (K,) of the tests that were made; those that were not, NaN, stay NaN."""
    pvalues = np.asarray(pvalues, dtype=float)
    adjusted = np.full(pvalues.shape, np.nan)
    made = ~np.isnan(pvalues)
    adjusted[made] = holm(pvalues[made])
    return adjusted


def benjamini_hochberg(pvalues: np.ndarray) -> np.ndarray:
    """Return Benjamini–Hochberg-adjusted p-values (K,), which control the false discovery rate [2].

    Raises:
        ValueError: a value outside 0 to 1, or NaN.
    """
    return np.asarray(false_discovery_control(checked_pvalues(pvalues)))


def fcr_level(pvalues: np.ndarray, alpha: float = 0.05) -> float:
    """Return the level of intervals that agree with Benjamini–Hochberg's adjusted p-values [3].

    It is alpha · max(R, 1) / M with R of M hypotheses rejected. A p-value is at most this level exactly where its
    adjusted value is at most alpha, so an interval of confidence 1 − level leaves out the null value where that is
    rejected, and among the intervals of rejected ones the expected share that miss the truth is at most alpha.

    Raises:
        ValueError: a value outside 0 to 1, or NaN.
    """
    pvalues = checked_pvalues(pvalues)
    if len(pvalues) == 0:
        return alpha
    rejected = benjamini_hochberg(pvalues) <= alpha
    level = alpha * max(int(rejected.sum()), 1) / len(pvalues)
    # Rounding must not separate a p-value at the limit from its adjusted value.
    level = max(level, float(pvalues[rejected].max(initial=0.0)))
    return min(level, float(np.nextafter(pvalues[~rejected].min(initial=np.inf), 0.0)))


def checked_pvalues(pvalues: np.ndarray) -> np.ndarray:
    """Return p-values as a vector (K,) of floats.

    Raises:
        ValueError: a value outside 0 to 1, or NaN.
    """
    pvalues = np.asarray(pvalues, dtype=float)
    if pvalues.ndim != 1 or not ((pvalues >= 0) & (pvalues <= 1)).all():
        raise ValueError("p-values must be a vector of numbers in 0 to 1")
    return pvalues
