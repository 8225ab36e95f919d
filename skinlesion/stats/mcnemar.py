"""Correct and wrong answers of classifiers on the same images: McNemar's test, Cochran's Q, and the discordant images.

Images count as independent in `mcnemar` and `cochran_q`; `clustered_mcnemar` and `clustered_cochran_q` account for
lesions.

References:
    [1] McNemar Q. Psychometrika 12, 153–157 (1947).
    [2] Fagerland MW, Lydersen S, Laake P. BMC Med Res Methodol 13, 91 (2013), eqs 3 and 4 (exact and mid-p).
    [3] Cochran WG. Biometrika 37, 256–266 (1950).
    [4] Hotelling H. Ann Math Stat 2, 360–378 (1931) (T²).
    [5] Bell RM, McCaffrey DF. Surv Methodol 28, 169–181 (2002) (why a robust Wald test needs an F distribution).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, chdtrc, fdtrc

METHODS = ("exact", "mid-p", "asymptotic", "asymptotic-corrected")


@dataclass(frozen=True)
class McNemarResult:
    """The p-value and the discordant counts: images that only a, or only b, classifies correctly."""

    only_a: int
    only_b: int
    pvalue: float
    method: str


def discordant(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[int, int]:
    """Return the number of images that only a, and only b, classifies correctly; both arguments are (N,) bool."""
    return int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray, method: str = "mid-p") -> McNemarResult:
    """Return McNemar's two-sided test [1] of equal accuracy of a and b.

    Args:
        correct_a, correct_b: (N,) bool, whether each classifier is correct.
        method: "exact" (binomial, conservative), "mid-p" (half the probability of the outcome itself; recommended
            by [2]), "asymptotic" (χ², one degree of freedom) or "asymptotic-corrected" (continuity-corrected).

    Without discordant images p is 1.

    Raises:
        ValueError: unequal lengths or an unknown method.
    """
    correct_a, correct_b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if correct_a.shape != correct_b.shape:
        raise ValueError(f"correct_a and correct_b differ in shape: {correct_a.shape} and {correct_b.shape}")
    only_a, only_b = discordant(correct_a, correct_b)
    total, fewer = only_a + only_b, min(only_a, only_b)
    if method == "exact":
        pvalue = 2 * bdtr(fewer, total, 0.5) if total else 1.0
    elif method == "mid-p":
        below = bdtr(fewer - 1, total, 0.5) if fewer else 0.0
        pvalue = below + bdtr(fewer, total, 0.5) if total else 1.0
    elif method in METHODS:
        correction = 1 if method == "asymptotic-corrected" else 0
        gap = max(abs(only_a - only_b) - correction, 0)
        pvalue = chdtrc(1, gap**2 / total) if total else 1.0
    else:
        raise ValueError(f"method {method!r} is not one of {', '.join(METHODS)}")
    return McNemarResult(only_a, only_b, float(min(1.0, pvalue)), method)


@dataclass(frozen=True)
class CochranResult:
    """Cochran's Q, asymptotically χ² with `degrees` degrees of freedom under the null hypothesis, and its p-value."""

    statistic: float
    degrees: int
    pvalue: float


def cochran_q(correct: np.ndarray) -> CochranResult:
    """Return Cochran's Q [3] that M classifiers have equal accuracy, the generalisation of McNemar's test to M > 2.

    If all classifiers agree on every image, Q is 0 and p is 1.

    Args:
        correct: (N, M) bool, whether each classifier is correct.

    Raises:
        ValueError: fewer than two classifiers.
    """
    correct = np.asarray(correct, dtype=bool)
    if correct.ndim != 2 or correct.shape[1] < 2:
        raise ValueError(f"expected correct (N, M) of at least two classifiers, got {correct.shape}")
    models = correct.shape[1]
    columns, rows = correct.sum(axis=0), correct.sum(axis=1)
    total = columns.sum()
    denominator = float(models * total - (rows.astype(float) ** 2).sum())
    numerator = (models - 1) * (models * float((columns.astype(float) ** 2).sum()) - float(total) ** 2)
    statistic = numerator / denominator if denominator else 0.0
    return CochranResult(float(statistic), models - 1, float(chdtrc(models - 1, statistic)))


@dataclass(frozen=True)
class ClusteredCochranResult:
    """The Wald statistic, what is distributed as F with its degrees of freedom, and the p-value."""

    statistic: float  # asymptotically χ² with `degrees` degrees of freedom
    degrees: int  # of the numerator: differences that vary, one fewer than classifiers if none are alike
    residual_degrees: int
    pvalue: float
    clusters: int


def clustered_cochran_q(correct: np.ndarray, clusters: np.ndarray) -> ClusteredCochranResult:
    """Return the test that M classifiers have equal accuracy, with lesions independent and images not.

    The Wald statistic of the M − 1 differences of accuracies, with their covariance between lesions, is Hotelling's T²
    [4]: (K − r) / ((K − 1) r) of it has an F distribution with r and K − r degrees of freedom, for K lesions and r
    differences that vary. If all classifiers agree on every image it is 0 and p is 1; p is NaN where lesions are too
    few, or where a difference is the same on every lesion and not 0.

    Args:
        correct: (N, M) bool, whether each classifier is correct, or the share of its trainings that are.
        clusters: (N,) the lesion of each image.

    Raises:
        ValueError: fewer than two classifiers, or lengths that differ.
    """
    correct = np.asarray(correct, dtype=float)
    if correct.ndim != 2 or correct.shape[1] < 2 or len(correct) != len(clusters):
        raise ValueError(f"expected correct (N, M) of at least two classifiers, got {correct.shape}")
    ids, lesion = np.unique(clusters, return_inverse=True)
    count = len(ids)
    against_mean = correct - correct.mean(axis=1, keepdims=True)
    sums = np.stack([np.bincount(lesion, weights=column, minlength=count) for column in against_mean.T], axis=1)
    difference = sums.sum(axis=0) / len(correct)  # (M,) accuracies less their mean
    influence = (sums - np.bincount(lesion)[:, None] * difference) / len(correct)  # (K, M)
    values, vectors = np.linalg.eigh(count / max(count - 1, 1) * influence.T @ influence)
    varying = values > max(values.max() * 1e-10, 1e-18)
    projected = vectors.T @ difference
    statistic = float((projected[varying] ** 2 / values[varying]).sum())
    degrees = int(varying.sum())
    residual = count - degrees
    if (np.abs(projected[~varying]) > 1e-9).any() or residual < 1:
        return ClusteredCochranResult(statistic, degrees, residual, float("nan"), count)
    if degrees == 0:
        return ClusteredCochranResult(0.0, 0, residual, 1.0, count)
    pvalue = fdtrc(degrees, residual, statistic * residual / ((count - 1) * degrees))
    return ClusteredCochranResult(statistic, degrees, residual, float(pvalue), count)


@dataclass(frozen=True)
class Flips:
    """Discordant images of one class, by id: only a is correct (lost), only b is correct (gained)."""

    class_name: str
    cases: int
    lost: tuple[str, ...]
    gained: tuple[str, ...]


def flips(
    labels: np.ndarray, answers_a: np.ndarray, answers_b: np.ndarray, ids: np.ndarray, class_names: Sequence[str]
) -> list[Flips]:
    """Return for each class the images that one classifier gets right and the other wrong.

    Args:
        labels, answers_a, answers_b: (N,) positions in `class_names`: the true classes and the predictions of a and b.
        ids: (N,) image ids.
    """
    correct_a, correct_b = answers_a == labels, answers_b == labels
    by_class = []
    for position, name in enumerate(class_names):
        cases = labels == position
        lost, gained = ids[cases & correct_a & ~correct_b], ids[cases & ~correct_a & correct_b]
        by_class.append(Flips(name, int(cases.sum()), tuple(map(str, np.sort(lost))), tuple(map(str, np.sort(gained)))))
    return by_class
