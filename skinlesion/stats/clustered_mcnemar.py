"""McNemar's test for clustered images (several per lesion): three statistics, all χ² with one degree of freedom.

With K lesions, n_k images of lesion k, d_k those of them that only a classifies correctly minus those that only b
does, and d̄ = Σ d_k / Σ n_k:

- Yang et al. 2010:  (K − 1) / K · (Σ d_k)² / ½ Σ [(d_k − n_k d̄)² + d_k²]
- Obuchowski 1998:   (K − 1) / K · (Σ d_k)² / Σ d_k²
- Durkalski 2003:    (Σ d_k / n_k)² / Σ (d_k / n_k)²: every lesion has the same weight

Yang's variance is the mean of the one under the null hypothesis (Obuchowski's) and the one that is not. It is the
default: of the three its rejections are nearest to 5 % where lesions are few (`benchmarks/validity.md`). Yang's and
Obuchowski's test the difference of the accuracies over images, which is the estimate reported beside them. Durkalski's
tests another quantity, the mean over lesions of the difference within a lesion. Where every lesion has one image,
Durkalski's is McNemar's statistic (without continuity correction), and Obuchowski's is (K − 1) / K of it.

The answers of several trainings of a model count with their mean: d_k is then the mean over trainings, and the test is
about the mean of the models' accuracies.

References:
    [1] Obuchowski NA. Stat Med 17, 1495–1507 (1998).
    [2] Durkalski VL, Palesch YY, Lipsitz SR, Rust PF. Stat Med 22, 2417–2428 (2003).
    [3] Yang Z, Sun X, Hardin JW. Biom J 52, 638–652 (2010).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

METHODS = ("yang", "obuchowski", "durkalski")


@dataclass(frozen=True)
class ClusteredMcNemarResult:
    """The statistic (χ², one degree of freedom), its p-value, and the number of clusters behind it."""

    statistic: float
    pvalue: float
    method: str
    clusters: int
    discordant_clusters: int  # lesions with d_k ≠ 0: the χ² approximation needs about ten


def clustered_mcnemar(
    correct_a: np.ndarray, correct_b: np.ndarray, clusters: np.ndarray, method: str = "yang"
) -> ClusteredMcNemarResult:
    """Return the two-sided test of equal accuracy of a and b, with lesions independent and images not.

    Args:
        correct_a, correct_b: (N,) bool, whether each classifier is correct, or (S, N), one row per training; a and b
            may have different numbers of trainings.
        clusters: (N,) the lesion of each image.
        method: "yang", "obuchowski" or "durkalski".

    If every d_k is 0, the statistic is 0 and p is 1.

    Raises:
        ValueError: unequal lengths or an unknown method.
    """
    shares = [np.atleast_2d(np.asarray(correct, dtype=float)).mean(axis=0) for correct in (correct_a, correct_b)]
    if not len(shares[0]) == len(shares[1]) == len(clusters):
        raise ValueError("correct_a, correct_b and clusters differ in length")
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not one of {', '.join(METHODS)}")
    ids, lesion = np.unique(clusters, return_inverse=True)
    difference: np.ndarray = np.bincount(lesion, weights=shares[0] - shares[1], minlength=len(ids))  # (K,) d_k
    sizes = np.bincount(lesion, minlength=len(ids))
    statistic = float(clustered_statistic(difference, sizes, method))
    # Sums of thirds and the like leave rounding where trainings agree.
    discordant = int((np.abs(difference) > 1e-9).sum())
    return ClusteredMcNemarResult(statistic, float(chdtrc(1, statistic)), method, len(ids), discordant)


def clustered_statistic(difference: np.ndarray, sizes: np.ndarray, method: str = "yang") -> np.ndarray:
    """Return the statistic (…) of differences d_k (…, K) in lesions of `sizes` images (…, K), 0 where all are 0."""
    lesions = difference.shape[-1]
    if method == "durkalski":
        difference, factor = difference / sizes, 1.0
    else:
        factor = (lesions - 1) / lesions
    total, spread = difference.sum(axis=-1), (difference**2).sum(axis=-1)
    if method == "yang":
        mean = total / sizes.sum(axis=-1)
        spread = ((difference - sizes * mean[..., None]) ** 2).sum(axis=-1) / 2 + spread / 2
    return np.asarray(np.divide(factor * total**2, spread, out=np.zeros(np.shape(total)), where=spread > 1e-18))
