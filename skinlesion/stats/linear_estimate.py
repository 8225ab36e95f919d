"""An estimate with the influence of each lesion on it: variance, t interval and p-value without resampling.

Lesions are independent; nothing is assumed of the images of one. With ψ_k the influence of lesion k and the lesions of
class c a stratum of K_c, the variance is Σ_c K_c / (K_c − 1) Σ_{k in c} ψ_k² (the infinitesimal jackknife [1, 2]), and
the degrees of freedom of its t distribution are Satterthwaite's, V² / Σ_c V_c² / (K_c − 1) [3]. Influences are not
centred within a class: how many lesions of each class there are is random too.

A class of one lesion has no variance of its own. Where the estimate cannot do without that lesion, it has no interval
and says why; elsewhere the class counts as one of two lesions: a factor of 2 and one degree of freedom.

References:
    [1] Efron B. The Jackknife, the Bootstrap and Other Resampling Plans (1982), ch. 6.
    [2] Shao J, Tu D. The Jackknife and Bootstrap (1995), §2.1 and §6.2 (clusters).
    [3] Satterthwaite FE. Biometrics Bulletin 2, 110–114 (1946).
    [4] Wilson EB. J Am Stat Assoc 22, 209–212 (1927).
    [5] Korn EL, Graubard BI. Surv Methodol 24, 193–201 (1998) (effective sample size, t, never above the sample).
    [6] Newcombe RG. Stat Med 25, 559–573 (2006) (why an AUC needs a scale of its own near 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit, stdtr, stdtrit

_ROUNDING = 1e-9  # a smaller standard error is rounding, and means zero


@dataclass(frozen=True)
class LinearEstimate:
    """A value (the mean over a model's trainings) and the influence of each lesion on it.

    Attributes:
        influence: (K,) what the value gains for each unit that a lesion's weight gains; sums to 0. Lesions are in the
            order of their ids.
        stratum: (K,) the class of each lesion (of its first image), −1 for a lesion without weight.
        scale: "linear"; "logit" for an AUC, whose interval is made of logits; "proportion" for a share of images,
            whose interval is Wilson's with an effective number of answers [4, 5].
        lesions: how many are behind a value on a bounded scale: in the denominator of a proportion, on the smaller
            side of an AUC.
        answers: images in the denominator of a proportion, times trainings.
        correction: what the interval and test of an AUC add to its variance over lesions, which with few lesions
            of a class is too small more often than too large (`influence` says how much).
        by_layer: (S,) the value of each training.
        layer_influence: (S, K) the influences on the value of each training, if asked for.
        undefined: why there is no value or no variance; empty if there is.
    """

    value: float
    influence: np.ndarray
    stratum: np.ndarray
    scale: str = "linear"
    lesions: float = float("nan")
    answers: float = float("nan")
    correction: float = 0.0
    by_layer: np.ndarray | None = None
    layer_influence: np.ndarray | None = None
    undefined: str = ""

    @property
    def variance(self) -> float:
        """Return the variance of the value over samples of lesions, NaN if it cannot be estimated."""
        return float("nan") if self.undefined else float(self._parts()[0].sum())

    @property
    def standard_error(self) -> float:
        """Return the square root of the variance."""
        return float(np.sqrt(self.variance))

    @property
    def degrees(self) -> float:
        """Return Satterthwaite's degrees of freedom [3], NaN without variance."""
        variances, degrees = self._parts()
        return float("nan") if self.undefined else satterthwaite(variances, degrees)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the confidence limits on the estimate's scale, NaN where they cannot be estimated.

        A difference without variance has none. A proportion of 0 or 1, or an AUC of 1, has Wilson's, with lesions in
        place of answers and one degree of freedom fewer than lesions.
        """
        return limits(self, self.variance, self.degrees, confidence)

    def pvalue(self, null: float = 0.0) -> float:
        """Return the two-sided p-value of `null`, which is outside the interval of confidence 1 − p' for p' > p.

        Without variance it is 1 for a value that equals `null`, and NaN for another.
        """
        return pvalue(self, self.variance, self.degrees, null)

    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the variance of each stratum and its degrees of freedom."""
        mask = self.stratum >= 0
        strata = self.stratum[mask]
        sizes = np.bincount(strata)
        squares = np.bincount(strata, weights=self.influence[mask] ** 2)
        present = sizes > 0
        factors, degrees = _stratum_factors(sizes[present])
        return factors * squares[present], degrees


def _stratum_factors(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return K / (K − 1) and K − 1 of strata with K lesions, 2 and 1 where K is 1."""
    counted = np.maximum(sizes, 2)
    return counted / (counted - 1), (counted - 1).astype(float)


def lesion_factors(stratum: np.ndarray) -> np.ndarray:
    """Return for each lesion (K,) the factor of its squared influence in a variance, 0 for one without weight."""
    mask = stratum >= 0
    factors = np.zeros(len(stratum))
    factors[mask] = _stratum_factors(np.bincount(stratum[mask]))[0][stratum[mask]]
    return factors


def satterthwaite(variances: np.ndarray, degrees: np.ndarray) -> float:
    """Return the degrees of freedom of a sum of independent variances [3], NaN if all are 0."""
    below = float((np.asarray(variances) ** 2 / degrees).sum())
    return float(np.sum(variances)) ** 2 / below if below else float("nan")


def limits(estimate: LinearEstimate, variance: float, degrees: float, confidence: float) -> tuple[float, float]:
    """Return the limits of an estimate, on its scale, for a variance that need not be its own."""
    value, nothing = estimate.value, (float("nan"), float("nan"))
    if estimate.undefined:
        return nothing
    variance = _corrected(estimate, variance)
    if estimate.scale == "linear" or _has_logit(estimate, variance):
        if not variance > _ROUNDING**2:
            return nothing
        half = float(stdtrit(degrees, (1 + confidence) / 2) * np.sqrt(variance))
        if estimate.scale == "linear":
            return value - half, value + half
        half /= value * (1 - value)
        return float(expit(logit(value) - half)), float(expit(logit(value) + half))
    size, degrees = _effective(estimate, variance, degrees)
    if not degrees > 0:
        return nothing
    t = float(stdtrit(degrees, (1 + confidence) / 2))
    centre = (value + t**2 / (2 * size)) / (1 + t**2 / size)
    half = t / (1 + t**2 / size) * float(np.sqrt(value * (1 - value) / size + t**2 / (4 * size**2)))
    return max(0.0, centre - half), min(1.0, centre + half)


def pvalue(estimate: LinearEstimate, variance: float, degrees: float, null: float) -> float:
    """Return the two-sided p-value of `null`, on the estimate's scale, for a variance that need not be its own.

    Raises:
        ValueError: on a bounded scale a `null` that is not between 0 and 1.
    """
    if estimate.undefined:
        return float("nan")
    value, variance = estimate.value, _corrected(estimate, variance)
    if estimate.scale == "linear" or _has_logit(estimate, variance):
        if not variance > _ROUNDING**2:
            return 1.0 if abs(value - null) < _ROUNDING else float("nan")
        error = float(np.sqrt(variance))
        if estimate.scale == "logit":
            _check_null(null)
            distance = float(logit(value) - logit(null)) * value * (1 - value) / error
        else:
            distance = (value - null) / error
    else:
        _check_null(null)
        size, degrees = _effective(estimate, variance, degrees)
        if not degrees > 0:
            return float("nan")
        distance = (value - null) / float(np.sqrt(null * (1 - null) / size))
    return float(2 * stdtr(degrees, -abs(distance)))


def _corrected(estimate: LinearEstimate, variance: float) -> float:
    """Return a variance with an AUC's correction; zero stays zero, which has an interval of its own."""
    return variance + estimate.correction if variance > _ROUNDING**2 else variance


def _check_null(null: float) -> None:
    if not 0 < null < 1:
        raise ValueError(f"null {null}: a share or an AUC is tested against a value between 0 and 1")


def _has_logit(estimate: LinearEstimate, variance: float) -> bool:
    return estimate.scale == "logit" and 0 < estimate.value < 1 and variance > _ROUNDING**2


def _effective(estimate: LinearEstimate, variance: float, degrees: float) -> tuple[float, float]:
    """Return the effective number of answers of a proportion and its degrees of freedom.

    It is p (1 − p) / variance, at most the number of answers [5]. Where every lesion answers alike it is the number of
    lesions, as if the answers for a lesion were copies.
    """
    spread = estimate.value * (1 - estimate.value)
    if spread > 0 and variance > _ROUNDING**2:
        return min(spread / variance, estimate.answers), degrees
    return estimate.lesions, estimate.lesions - 1


def contrast(coefficients: Sequence[float], estimates: Sequence[LinearEstimate]) -> LinearEstimate:
    """Return Σ c_i · estimate_i on the linear scale: a difference, or a difference of differences.

    Raises:
        ValueError: numbers that do not match, or estimates on different lesions.
    """
    if len(coefficients) != len(estimates) or not estimates:
        raise ValueError(f"{len(coefficients)} coefficients and {len(estimates)} estimates")
    stratum = common_strata(estimates)
    value = sum(c * estimate.value for c, estimate in zip(coefficients, estimates, strict=True))
    influence = np.sum([c * e.influence for c, e in zip(coefficients, estimates, strict=True)], axis=0)
    undefined = next((estimate.undefined for estimate in estimates if estimate.undefined), "")
    return LinearEstimate(float(value), influence, stratum, undefined=undefined)


def no_variance(value: float) -> str:
    """Return why a difference of value `value` has no interval though it has lesions enough: they are all alike."""
    if abs(value) < _ROUNDING:
        return "the models do not differ on any lesion"
    return "the same on every lesion, so that it has no variance"


def paired_contrast(coefficients: Sequence[float], estimates: Sequence[LinearEstimate]) -> LinearEstimate:
    """Return Σ c_i · estimate_i of models with the same trainings in the same order, training by training.

    A single estimate with coefficient 1 keeps its scale.

    Raises:
        ValueError: numbers that do not match, estimates on different lesions, or numbers of trainings that differ.
    """
    combined = contrast(coefficients, estimates)
    values = [estimate.by_layer for estimate in estimates if estimate.by_layer is not None]
    if len(values) < len(estimates) or len({len(value) for value in values}) > 1:
        raise ValueError("the estimates differ in their numbers of trainings")
    influence = [estimate.layer_influence for estimate in estimates if estimate.layer_influence is not None]
    base = estimates[0] if len(estimates) == 1 and coefficients[0] == 1 else combined
    return replace(
        base,
        by_layer=np.einsum("i,is->s", np.asarray(coefficients, dtype=float), np.stack(values)),
        layer_influence=(
            np.einsum("i,isk->sk", np.asarray(coefficients, dtype=float), np.stack(influence))
            if len(influence) == len(estimates)
            else None
        ),
    )


def common_strata(estimates: Sequence[LinearEstimate]) -> np.ndarray:
    """Return the class of each lesion (K,) that has weight in any of the estimates.

    Raises:
        ValueError: estimates on different lesions.
    """
    strata = [estimate.stratum for estimate in estimates]
    if len({len(stratum) for stratum in strata}) > 1:
        raise ValueError("the estimates are on different lesions")
    merged = np.max(strata, axis=0)
    if any(((stratum >= 0) & (stratum != merged)).any() for stratum in strata):
        raise ValueError("the estimates are on different lesions: classes differ")
    return np.asarray(merged)


def correlation(estimates: Sequence[LinearEstimate]) -> np.ndarray:
    """Return the correlations (M, M) of estimates on the same lesions; 0 with an estimate that has no variance.

    Raises:
        ValueError: estimates on different lesions.
    """
    stratum = common_strata(estimates)
    mask = stratum >= 0
    weighted = np.stack([e.influence[mask] for e in estimates]) * np.sqrt(lesion_factors(stratum)[mask])
    covariance = weighted @ weighted.T
    error = np.sqrt(np.diag(covariance))
    scale = np.divide(1.0, error, out=np.zeros(len(error)), where=error > _ROUNDING)
    result = np.clip(covariance * np.outer(scale, scale), -1.0, 1.0)
    np.fill_diagonal(result, 1.0)
    return result
