"""Root mean squared calibration error without the bias of noise, its interval and a test, for images of lesions.

A plug-in calibration error is above 0 for a calibrated model too, and its resamples are more so: their interval covers
54 to 71 % where 95 % is promised. Here products of residuals of different lesions estimate the squared error within
each bin, which is right on average [1, 2]. Under calibration such a sum of products is no normal but a weighted sum of
χ² variables, where neither the bootstrap nor a normal interval holds [2, 3]. Its first three cumulants are known for
any true error, and intervals invert tests by them [4]. `benchmarks/calibration_validity.md` shows the coverage.

Within a bin errors of opposite sign cancel, so the error over bins is a lower bound on that over all images [1].

References:
    [1] Kumar A, Liang P, Ma T. Verified Uncertainty Calibration. NeurIPS 2019, proposition 3.3 and section 5.
    [2] Sun Y, Chaudhari P, Barnett IJ, Dobriban E. A Confidence Interval for the ℓ2 Expected Calibration Error.
        arXiv:2408.08998 (2024).
    [3] Widmann D, Lindsten F, Zachariah D. Calibration tests in multi-class classification: a unifying framework.
        NeurIPS 2019 (unbiased estimates that are degenerate under calibration).
    [4] Imhof JP. Computing the distribution of quadratic forms in normal variables. Biometrika 48, 419–426 (1961),
        section 4: cumulants, and Pearson's approximation by three of them.
    [5] Feldman GJ, Cousins RD. Unified approach to the classical statistical analysis of small signals. Phys Rev D 57,
        3873–3889 (1998): one interval that is one-sided near a limit of the parameter and two-sided away from it.
    [6] MacKinnon JG, White H. J Econometrics 29, 305–325 (1985): the jackknife's form of the residuals.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import gamma

from skinlesion.evaluation.reliability import equal_mass

LESIONS_PER_BIN = 20  # fewer bins where there are fewer lesions: sums over a bin are to be nearly normal

_SMALLEST_VARIANCE = 1e-20  # of the squared error: below, residuals differ by rounding alone
_SMALLEST_SKEWNESS = 1e-6  # a gamma distribution of less is a normal one to rounding


@dataclass(frozen=True)
class RmsCalibrationError:
    """An estimate of the mean over bins of (observed − confidence)², and the cumulants of its error.

    About the true value t the estimate has variance `variance` + `variance_slope` · t and third cumulant `third` +
    `third_slope` · t.
    """

    squared: float  # right on average, so below 0 about half of the time for a calibrated model
    bins: int
    variance: float
    variance_slope: float
    third: float
    third_slope: float

    @property
    def value(self) -> float:
        """Return the root mean squared calibration error in 0..1: √max(0, squared)."""
        return float(np.sqrt(max(0.0, self.squared))) if self.squared == self.squared else float("nan")

    @property
    def varies(self) -> bool:
        """Return whether residuals differ between lesions, without which there is no interval and no test."""
        return self.variance > _SMALLEST_VARIANCE

    @property
    def pvalue(self) -> float:
        """Return the p-value of calibration within bins, small where the error is too large for chance."""
        return self._above(0.0) if self.varies else float("nan")

    def confidence_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return limits of the root mean squared error, which hold `value`; the lower is 0 iff p > 1 − confidence.

        True values too small for any estimate to lie significantly below them are tested from above alone, at 1 −
        confidence; larger ones from both sides at half of it [5]. NaN where nothing varies.
        """
        if not self.varies:
            return float("nan"), float("nan")
        level = 1 - confidence
        # The largest error that an estimate of 0 does not reject from below.
        one_sided = self._solve(lambda true: level / 2 - 1 + self._above(true, 0.0), 0.0)
        high = self._solve(lambda true: level / 2 - 1 + self._above(true), self.squared)
        low = self._solve(lambda true: self._above(true) - level / 2, self.squared)
        low_one_sided = self._solve(lambda true: self._above(true) - level, self.squared)
        low = min(max(low, min(low_one_sided, one_sided)), max(0.0, self.squared))
        return float(np.sqrt(low)), min(1.0, float(np.sqrt(max(high, one_sided))))

    def _above(self, true: float, estimate: float | None = None) -> float:
        """Return the probability of an estimate of at least this one (or `estimate`) where the true value is `true`."""
        variance = self.variance + self.variance_slope * true
        spread = np.sqrt(variance)
        skewness = max((self.third + self.third_slope * true) / variance**1.5, _SMALLEST_SKEWNESS)
        shape = 4 / skewness**2
        z = ((self.squared if estimate is None else estimate) - true) / spread
        return float(gamma.sf(shape + np.sqrt(shape) * z, shape))

    def _solve(self, function: Callable[[float], float], estimate: float) -> float:
        """Return the true value ≥ 0 at which an increasing function is 0; 0 where it is above 0 everywhere."""
        if function(0.0) >= 0:
            return 0.0
        high = max(estimate, 0.0) + np.sqrt(self.variance)
        while function(high) < 0:
            high *= 2
        return float(brentq(function, 0.0, high, xtol=1e-15, rtol=1e-10))


def rms_calibration_error(
    confidence: np.ndarray, hit: np.ndarray, lesion: np.ndarray, bins: int
) -> RmsCalibrationError:
    """Return the calibration error over bins of equal numbers of images, the mean over trainings of its square.

    Within bin b, of n_b of the n images, with residuals hit − confidence that sum to z_l over the m_l images of lesion
    l: Σ_b (n_b / n) · [(Σ z_l)² − Σ z_l²] / [n_b² − Σ m_l²].

    Args:
        confidence: (S, N) probabilities of an event, one layer per training.
        hit: (S, N) whether the event occurred, (N,) where that is the same for all trainings.
        lesion: (N,) the lesion of each image, 0 to L − 1.
        bins: at most so many; fewer where there are fewer than LESIONS_PER_BIN lesions for each.
    """
    layers = len(confidence)
    hits = np.broadcast_to(hit, confidence.shape)
    lesions = int(lesion.max()) + 1
    bins = max(1, min(bins, lesions // LESIONS_PER_BIN))
    parts = [_layer(layer, came_true, lesion, lesions, bins) for layer, came_true in zip(confidence, hits, strict=True)]
    gaps = np.concatenate([part[1] for part in parts]) / np.sqrt(layers)  # (S · B,): their squares sum to the error
    errors = np.hstack([part[2] for part in parts]) / np.sqrt(layers)  # (L, S · B): of the gaps, by lesion
    squared = float(np.mean([part[0] for part in parts]))
    return RmsCalibrationError(squared, bins, *_cumulants(gaps, errors))


def _layer(
    confidence: np.ndarray, hit: np.ndarray, lesion: np.ndarray, lesions: int, bins: int
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return one training's squared error, and √(n_b / n) · gap_b (B,) with the share of each lesion in its error.

    A bin whose images are of one lesion has no pair of lesions and is left out.
    """
    cell = lesion * bins + equal_mass(confidence, bins)
    size = lesions, bins
    sums = np.bincount(cell, hit - confidence, lesions * bins).reshape(size)  # (L, B)
    images = np.bincount(cell, minlength=lesions * bins).reshape(size).astype(float)
    mask = (images > 0).sum(axis=0) > 1
    sums, images = sums[:, mask], images[:, mask]
    in_bin, gap = images.sum(axis=0), sums.sum(axis=0)
    total = len(confidence)
    products = (gap**2 - (sums**2).sum(axis=0)) / (in_bin**2 - (images**2).sum(axis=0))
    gap = gap / in_bin
    # Divided by one minus the lesion's share of its bin, residuals are those of a fit without the lesion [6].
    errors = (sums - images * gap) / (1 - images / in_bin) / np.sqrt(total * in_bin)
    return float((in_bin / total * products).sum()), np.sqrt(in_bin / total) * gap, errors


def _cumulants(gaps: np.ndarray, errors: np.ndarray) -> tuple[float, float, float, float]:
    """Return variance, its slope, third cumulant and its slope of |x|², x normal about gaps with covariance V [4].

    With mean μ: 2 tr V² + 4 μ'Vμ and 8 tr V³ + 24 μ'V²μ. Slopes take the direction of μ from the data, by the largest
    of estimates: the positive parts of squared components less their noise; the same added up; and that without the
    part that gap and variance of a bin have in common, both being of the same outcomes.

    Args:
        gaps: (K,).
        errors: (L, K), the shares of the lesions, whose products sum to V.
    """
    spread, axes = np.linalg.eigh(errors.T @ errors)
    spread = np.maximum(spread, 0)
    signal = (axes.T @ gaps) ** 2 - spread  # squared components of μ, right on average
    positive, total = np.maximum(signal, 0), signal.sum()
    common = 2 * ((errors @ gaps) * (errors**2).sum(axis=1)).sum()
    slopes = []
    for power, shared in ((1, common), (2, 0.0)):
        estimates = [(spread ** (power + 1)).sum() / spread.sum() if spread.any() else 0.0]
        if positive.any():
            estimates = [(positive * spread**power).sum() / positive.sum()]
        if total > 0:
            added = (signal * spread**power).sum()
            most = spread.max() ** power
            estimates += [float(np.clip(part / total, 0, most)) for part in (added, added - shared)]
        slopes.append(max(estimates))
    variance, third = 2 * (spread**2).sum(), 8 * (spread**3).sum()
    return float(variance), float(4 * slopes[0]), float(third), float(24 * slopes[1])
