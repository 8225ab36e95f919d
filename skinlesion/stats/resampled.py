"""The corrected resampled t-test, for differences over folds or repeats whose training sets overlap.

The differences must be of folds that both systems share, image by image (`matched_folds`); `test_share` is that of the
systems at hand, which predictions alone do not tell.

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
    """Return whether two systems have the same test folds, whatever their numbers: the same partition of the images.

    Only then is a difference on fold j one of models trained and tested on the same images. Systems of different
    protocols (images split by lesion, and not) share a few images of each fold, and have no paired folds.

    Args:
        folds_a, folds_b: (N,) the test fold of each image, of the same images in the same order.

    Raises:
        ValueError: lengths that differ.
    """
    if len(folds_a) != len(folds_b):
        raise ValueError(f"folds of {len(folds_a)} and of {len(folds_b)} images")
    codes_a, codes_b = (np.unique(folds, return_inverse=True)[1] for folds in (folds_a, folds_b))
    pairs = len(np.unique(np.stack([codes_a, codes_b]), axis=1).T) if len(codes_a) else 0
    return bool(pairs == codes_a.max(initial=-1) + 1 == codes_b.max(initial=-1) + 1)
