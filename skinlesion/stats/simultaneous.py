"""Several tests at once: single-step adjusted p-values and intervals that agree with them.

Under the null hypotheses the test statistics are nearly normal with the correlations of their influence functions. The
smallest p-value of such a family has a distribution, drawn here from a Gaussian copula [1, 2]: an adjusted p-value is
the probability that it is no larger than the p-value at hand, and the level of each test is what its quantile leaves.
Correlated tests then cost less than Bonferroni's, whose value is never exceeded.

References:
    [1] Westfall PH, Young SS. Resampling-Based Multiple Testing (1993), §2.3 (single-step min-P).
    [2] Hothorn T, Bretz F, Westfall P. Biom J 50, 346–363 (2008) (simultaneous intervals from the same distribution).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from skinlesion.stats.multiplicity import checked_pvalues

_BLOCK = 10_000  # draws at once
_TOLERANCE = 1e-6  # of a correlation matrix: symmetry, diagonal, eigenvalues


@dataclass(frozen=True)
class Simultaneous:
    """Adjusted p-values (M,), and what makes intervals that agree with them.

    Attributes:
        adjusted: (M,) p-values; `adjusted[j] <= alpha` exactly where `pvalues[j] <= level`.
        level: the common level of each test, alpha for a single one.
        critical: (M,) the quantiles of t that simultaneous intervals use: value ± critical · standard error.
    """

    adjusted: np.ndarray
    level: float
    critical: np.ndarray


def simultaneous(
    pvalues: np.ndarray,
    degrees: np.ndarray,
    correlation: np.ndarray,
    confidence: float = 0.95,
    *,
    seed: int = 0,
    draws: int = 100_000,
) -> Simultaneous:
    """Return the adjusted p-values of a family of two-sided tests, and the level of its simultaneous intervals.

    An interval of confidence 1 − `level` for each of the M values contains all true ones with probability `confidence`.
    A single test is not adjusted at all.

    Args:
        pvalues: (M,) two-sided.
        degrees: (M,) of the t distribution of each.
        correlation: (M, M) of the estimates; it may be singular.
        draws: of the family, for a standard error of √(p (1 − p) / draws) of an adjusted p-value.

    Raises:
        ValueError: p-values outside 0 to 1 or NaN, or a matrix that is no correlation matrix of as many.
    """
    pvalues, alpha = checked_pvalues(pvalues), 1 - confidence
    count = len(pvalues)
    degrees = np.broadcast_to(np.asarray(degrees, dtype=float), (count,))
    if not (degrees > 0).all():
        raise ValueError("degrees of freedom must be positive numbers")
    root = _root(np.asarray(correlation, dtype=float), count)
    if count <= 1:
        return Simultaneous(pvalues.copy(), alpha, stdtrit(degrees, 1 - alpha / 2))
    smallest = _smallest(root, seed, draws)  # ascending
    # The copula's value is (1 + draws no larger) / (1 + draws), which is at most alpha for fewer than `allowed` draws.
    share = (1 + np.searchsorted(smallest, pvalues, side="right")) / (1 + draws)
    adjusted = np.maximum(pvalues, np.minimum(np.minimum(share, count * pvalues), 1.0))
    allowed = int(((1 + np.arange(draws + 1)) / (1 + draws) <= alpha).sum())
    by_copula = np.nextafter(smallest[allowed - 1], 0.0) if allowed else 0.0
    level = min(alpha, max(float(by_copula), _largest_factor(count, alpha)))
    return Simultaneous(adjusted, level, stdtrit(degrees, 1 - level / 2))


def _smallest(root: np.ndarray, seed: int, draws: int) -> np.ndarray:
    """Return the sorted smallest two-sided p-values (draws,) of families of normal statistics."""
    rng, largest = np.random.default_rng(seed), []
    for start in range(0, draws, _BLOCK):
        normal = rng.standard_normal((min(_BLOCK, draws - start), root.shape[1]))
        largest.append(np.abs(normal @ root.T).max(axis=1))
    return np.sort(2 * ndtr(-np.concatenate(largest)))


def _root(correlation: np.ndarray, count: int) -> np.ndarray:
    """Return a matrix whose product with its transpose is the correlation matrix (M, M)."""
    if correlation.shape != (count, count):
        raise ValueError(f"correlation {correlation.shape} does not fit {count} p-values")
    symmetric = np.allclose(correlation, correlation.T, atol=_TOLERANCE)
    if not symmetric or not np.allclose(np.diag(correlation), 1.0, atol=_TOLERANCE):
        raise ValueError("a correlation matrix is symmetric with a diagonal of 1")
    values, vectors = np.linalg.eigh(correlation)
    if values.min(initial=0.0) < -_TOLERANCE * count:
        raise ValueError("the matrix has a negative eigenvalue: these are no correlations")
    root: np.ndarray = vectors * np.sqrt(np.maximum(values, 0.0))
    return root / np.maximum(np.sqrt((root**2).sum(axis=1, keepdims=True)), _TOLERANCE)


def _largest_factor(count: int, alpha: float) -> float:
    """Return the largest p whose product with `count` is, as rounded, at most alpha."""
    level = alpha / count
    while count * level > alpha:
        level = np.nextafter(level, 0.0)
    while count * np.nextafter(level, 1.0) <= alpha:
        level = np.nextafter(level, 1.0)
    return float(level)
