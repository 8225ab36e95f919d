"""Calibration intercept and slope: logistic regression of outcomes on the log-odds of a predicted risk.

On resamples both are one Newton step from the data's estimate, with the resample's own score and information: sums
over images, so that thousands of refits are one product of matrices.

References:
    [1] Cox DR. Two further applications of a model for binary regression. Biometrika 45, 562–565 (1958).
    [2] Van Calster B et al. A calibration hierarchy for risk models was defined. J Clin Epidemiol 74, 167–176 (2016):
        the intercept with the slope held at 1 (calibration in the large), and the slope.
    [3] Moulton LH, Zeger SL. Bootstrapping generalized linear models. Comput Stat Data Anal 11, 53–63 (1991): the
        one-step bootstrap.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from skinlesion.evaluation.sums import SumStatistic, divide

_SMALLEST = 1e-12  # a risk of exactly 0 or 1 has no log-odds
_POLISH = 3  # Newton steps behind the optimiser: each doubles the digits


def calibration_intercept(cases: np.ndarray, risk: np.ndarray) -> SumStatistic:
    """Return a of log-odds(case) = a + log-odds(risk) [1, 2]: 0 where right on average, below 0 where too high.

    NaN where every image is a case, or none.

    Args:
        cases: (N,) bool.
        risk: (N,) in 0..1; below 1e-12 counts as 1e-12, above 1 − 1e-12 likewise.
    """
    offset = _log_odds(risk)
    one_sided = cases.all() or not cases.any()
    fitted = np.full(1, np.nan) if one_sided else _fit(cases, np.ones((len(risk), 1)), offset)
    p = expit(offset + fitted[0])
    columns = np.stack([cases - p, p * (1 - p)], axis=1)
    return SumStatistic(columns, lambda totals: fitted[0] + divide(totals[..., 0], totals[..., 1]))


def calibration_slope(cases: np.ndarray, risk: np.ndarray) -> SumStatistic:
    """Return b of log-odds(case) = a + b · log-odds(risk) [1, 2]: 1 where the spread of risks is right.

    Below 1 risks are too extreme, low ones too low and high ones too high; above 1 not extreme enough. NaN where every
    image is a case, or none, or where risks separate the two without an overlap.

    Args:
        cases: (N,) bool.
        risk: (N,) in 0..1; below 1e-12 counts as 1e-12, above 1 − 1e-12 likewise.
    """
    x = _log_odds(risk)
    if _separated(x[cases], x[~cases]):
        fitted = np.full(2, np.nan)
    else:
        fitted = _fit(cases, np.stack([np.ones(len(x)), x], axis=1), np.zeros(len(x)))
    p = expit(fitted[0] + fitted[1] * x)
    residual, spread = cases - p, p * (1 - p)
    columns = np.stack([residual, residual * x, spread, spread * x, spread * x * x], axis=1)

    def step(totals: np.ndarray) -> np.ndarray:
        score, score_x, weight, weight_x, weight_xx = (totals[..., place] for place in range(5))
        return fitted[1] + divide(weight * score_x - weight_x * score, weight * weight_xx - weight_x**2)

    return SumStatistic(columns, step)


def _log_odds(risk: np.ndarray) -> np.ndarray:
    log_odds: np.ndarray = logit(np.clip(np.asarray(risk, dtype=float), _SMALLEST, 1 - _SMALLEST))
    return log_odds


def _separated(cases: np.ndarray, controls: np.ndarray) -> bool:
    """Return whether the likelihood of a slope has no maximum: the cases' log-odds do not overlap the controls'."""
    if not len(cases) or not len(controls):
        return True
    return bool(cases.min() >= controls.max() or cases.max() <= controls.min())


def _fit(cases: np.ndarray, design: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return the maximum likelihood coefficients (K,), which must exist."""

    def loss(coefficients: np.ndarray) -> float:
        z = offset + design @ coefficients
        return float(np.mean(np.logaddexp(0, z) - cases * z))

    def slope(coefficients: np.ndarray) -> np.ndarray:
        gradient: np.ndarray = design.T @ (expit(offset + design @ coefficients) - cases) / len(cases)
        return gradient

    def curvature(coefficients: np.ndarray) -> np.ndarray:
        p = expit(offset + design @ coefficients)
        hessian: np.ndarray = (design * (p * (1 - p))[:, None]).T @ design / len(cases)
        return hessian

    best = minimize(loss, np.zeros(design.shape[1]), jac=slope, hess=curvature, method="trust-exact").x
    for _ in range(_POLISH):
        best = best - np.linalg.solve(curvature(best), slope(best))
    return np.asarray(best)
