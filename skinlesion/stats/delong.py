"""DeLong's covariance of correlated AUCs, and Obuchowski's extension to clustered images (several per lesion).

Placements (for a positive, the fraction of negatives with a lower score, ties one half) are computed by sorting in
O(n log n) [2]. With one image per lesion the clustered covariance is exactly DeLong's.

References:
    [1] DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 44, 837–845 (1988).
    [2] Sun X, Xu W. IEEE Signal Process Lett 21, 1389–1393 (2014).
    [3] Obuchowski NA. Biometrics 53, 567–578 (1997).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri


@dataclass(frozen=True)
class AucCovariance:
    """AUCs (M,) of M scores on the same images, and their covariance (M, M)."""

    auc: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class AucDifference:
    """AUC(b) − AUC(a) with its normal interval and two-sided p-value; NaN for a `reason` where there is no variance."""

    a: float
    b: float
    difference: float
    standard_error: float
    low: float
    high: float
    pvalue: float
    reason: str = ""


def placements(
    positive: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return per positive the fraction of negatives below it, and per negative the fraction of positives above it.

    Args:
        positive: (N,) bool.
        scores: (N,), higher for the positive class; ties count one half.
        weights: (N,) of the images, of which fractions are then taken; all equal by default.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))  # of equal scores
    ends, level = np.append(starts[1:], len(ranked)), np.empty(len(ranked), dtype=int)
    level[order] = np.repeat(np.arange(len(starts)), ends - starts)

    def share_below(counted: np.ndarray) -> np.ndarray:
        """Return for each distinct score the weight of the images below it, and half of that at it, as a share."""
        cumulated = np.append(0.0, np.cumsum(np.where(counted, weights, 0.0)[order]))
        return np.asarray((cumulated[starts] + cumulated[ends]) / (2 * cumulated[-1]))

    return share_below(~positive)[level[positive]], 1 - share_below(positive)[level[~positive]]


def auc_covariance(positive: np.ndarray, scores: np.ndarray, clusters: np.ndarray | None = None) -> AucCovariance:
    """Return the AUCs of several scores for one class and their covariance.

    Args:
        positive: (N,) bool.
        scores: (M, N), one row per model.
        clusters: (N,) the lesion of each image; None for independent images (DeLong).

    Raises:
        ValueError: shapes that do not match, NaN, or fewer than two positives or negatives (lesions, if clustered).
    """
    positive = np.asarray(positive, dtype=bool)
    scores = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if scores.shape[1] != len(positive) or (clusters is not None and len(clusters) != len(positive)):
        raise ValueError(f"positive {positive.shape}, scores {scores.shape} and clusters do not fit together")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN")
    cases, controls = int(positive.sum()), int((~positive).sum())
    if cases == 0 or controls == 0:
        raise ValueError("an AUC needs images of the class and of others")
    pairs = [placements(positive, row) for row in scores]
    v10 = np.stack([pair[0] for pair in pairs])  # (M, cases), V10
    v01 = np.stack([pair[1] for pair in pairs])  # (M, controls), V01
    auc = v10.mean(axis=1)
    if clusters is None:
        if min(cases, controls) < 2:
            raise ValueError("DeLong's variance needs two images of the class and two others")
        return AucCovariance(
            auc, np.cov(v10).reshape(len(auc), -1) / cases + np.cov(v01).reshape(len(auc), -1) / controls
        )
    return AucCovariance(auc, _clustered(auc, v10, v01, positive, np.asarray(clusters)))


def _clustered(
    auc: np.ndarray, v10: np.ndarray, v01: np.ndarray, positive: np.ndarray, clusters: np.ndarray
) -> np.ndarray:
    """Return Obuchowski's covariance (M, M) [3, eqs 4 to 7]."""
    ids, lesion = np.unique(clusters, return_inverse=True)
    total = len(ids)
    cases = np.bincount(lesion[positive], minlength=total)  # m_k
    controls = np.bincount(lesion[~positive], minlength=total)  # n_k
    with_cases, with_controls = int((cases > 0).sum()), int((controls > 0).sum())
    if min(with_cases, with_controls) < 2:
        raise ValueError("the clustered variance needs two lesions of the class and two others")
    residual10 = _lesion_sums(v10, lesion[positive], total) - auc[:, None] * cases  # (M, K)
    residual01 = _lesion_sums(v01, lesion[~positive], total) - auc[:, None] * controls
    m, n = cases.sum(), controls.sum()
    s10 = with_cases / (with_cases - 1) * residual10 @ residual10.T
    s01 = with_controls / (with_controls - 1) * residual01 @ residual01.T
    s11 = total / (total - 1) * residual10 @ residual01.T
    return s10 / m**2 + s01 / n**2 + (s11 + s11.T) / (m * n)


def _lesion_sums(values: np.ndarray, lesion: np.ndarray, total: int) -> np.ndarray:
    return np.stack([np.bincount(lesion, weights=row, minlength=total) for row in values])


def auc_difference(covariance: AucCovariance, a: int, b: int, confidence: float = 0.95) -> AucDifference:
    """Return AUC(b) − AUC(a) of two of the scores, with its normal interval and two-sided p-value."""
    variance = covariance.covariance
    spread = variance[a, a] + variance[b, b] - 2 * variance[a, b]
    return _difference(covariance.auc[a], covariance.auc[b], spread, confidence)


def macro_auc_difference(
    labels: np.ndarray, a: np.ndarray, b: np.ndarray, clusters: np.ndarray, confidence: float = 0.95
) -> AucDifference:
    """Return macro AUC(b) − macro AUC(a), one-vs-rest, with lesions as the units.

    The influence of a lesion on the AUC of a class is the sum of its centred placements, of positives and negatives;
    influences are averaged over classes, and the variance is K / (K − 1) Σ influence². For one class this is [3] up to
    small-sample factors. A class of one lesion, or one whose others are one lesion, leaves the variance unknown: limits
    and p are then NaN, and `reason` says so.

    Args:
        labels: (N,) true classes, as columns of the scores.
        a, b: (N, C) scores of the two models.
        clusters: (N,) the lesion of each image.

    Raises:
        ValueError: a class has no image, or all of them.
    """
    ids, lesion = np.unique(clusters, return_inverse=True)
    influence, values, reason = np.zeros(len(ids)), [], ""
    for scores, sign in ((a, -1.0), (b, 1.0)):
        aucs = []
        for position in range(scores.shape[1]):
            positive = labels == position
            if not positive.any() or positive.all():
                raise ValueError(f"class {position} needs images of its own and others")
            if min(len(np.unique(lesion[positive])), len(np.unique(lesion[~positive]))) < 2:
                reason = f"class {position} has one lesion, or all others are one: the variance cannot be estimated"
            v10, v01 = placements(positive, scores[:, position].astype(np.float64))
            auc = v10.mean()
            centred = np.empty(len(labels))
            centred[positive] = (v10 - auc) / len(v10)
            centred[~positive] = (v01 - auc) / len(v01)
            influence += sign * np.bincount(lesion, weights=centred, minlength=len(ids)) / scores.shape[1]
            aucs.append(auc)
        values.append(float(np.mean(aucs)))
    spread = float("nan") if reason else len(ids) / (len(ids) - 1) * float(influence @ influence)
    return _difference(values[0], values[1], spread, confidence, reason)


def _difference(a: float, b: float, variance: float, confidence: float, reason: str = "") -> AucDifference:
    error = float(np.sqrt(max(variance, 0.0))) if not reason else float("nan")
    difference = float(b - a)
    half = float(ndtri((1 + confidence) / 2)) * error
    if error == 0 and difference != 0:
        reason = "the difference is the same on every lesion: its variance cannot be estimated"
        error = half = pvalue = float("nan")
    else:
        pvalue = 1.0 if error == 0 else float(2 * ndtr(-abs(difference) / error))
    return AucDifference(float(a), float(b), difference, error, difference - half, difference + half, pvalue, reason)
