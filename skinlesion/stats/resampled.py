"""The corrected resampled t-test, for differences over folds or repeats whose training sets overlap.

References:
    [1] Nadeau C, Bengio Y. Machine Learning 52, 239–281 (2003), §3.3, eq. 7.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class ResampledTResult:
    """Mean difference over J resamples, its interval, t with J − 1 degrees of freedom and the two-sided p-value."""

    difference: float
    low: float
    high: float
    statistic: float
    degrees: int
    pvalue: float


def corrected_resampled_t(differences: np.ndarray, test_share: float, confidence: float = 0.95) -> ResampledTResult:
    """Return the test that the mean of `differences` is zero, with the variance s² (1/J + n_test / n_train).

    Args:
        differences: (J,) one per fold or repeat.
        test_share: n_test / n_train; images of the validation part count in neither.

    Raises:
        ValueError: fewer than two differences, or NaN.
    """
    differences = np.asarray(differences, dtype=float)
    count = len(differences)
    if differences.ndim != 1 or count < 2 or np.isnan(differences).any():
        raise ValueError("expected a vector of at least two differences without NaN")
    mean = float(differences.mean())
    error = float(np.sqrt(differences.var(ddof=1) * (1 / count + test_share)))
    degrees = count - 1
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * error
    if error == 0:
        statistic, pvalue = (0.0, 1.0) if mean == 0 else (float(np.copysign(np.inf, mean)), 0.0)
    else:
        statistic = mean / error
        pvalue = float(2 * stdtr(degrees, -abs(statistic)))
    return ResampledTResult(mean, mean - half, mean + half, statistic, degrees, pvalue)


def matched_folds(folds_a: np.ndarray, folds_b: np.ndarray) -> bool:
    """Return whether two assignments (N,) of the same images to folds are one partition, up to the folds' numbers."""
    pairs = np.unique(np.stack([folds_a, folds_b]), axis=1).shape[1]
    return bool(pairs == len(np.unique(folds_a)) == len(np.unique(folds_b)))
