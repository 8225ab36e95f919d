"""McNemar's test for clustered images (several per lesion): three statistics, all χ² with one degree of freedom.

With K lesions, n_k images of lesion k, and d_k those of them that only a classifies correctly minus those that only b
does:

- Yang et al. 2010:  (Σ d_k)² / Σ d_k²
- Obuchowski 1998:   the same times (K − 1) / K, from a variance estimated with the factor K / (K − 1)
- Durkalski 2003:    (Σ d_k / n_k)² / Σ (d_k / n_k)²: every lesion has the same weight

Yang's is the default. It tests the difference of the accuracies over images, which is the estimate reported beside it,
and equals McNemar's statistic (without continuity correction) when every lesion has one image. Durkalski's tests
another quantity, the mean over lesions of the difference within a lesion. `benchmarks/validity.md` has the size of all.

References:
    [1] Obuchowski NA. Stat Med 17, 1495–1507 (1998).
    [2] Durkalski VL, Palesch YY, Lipsitz SR, Rust PF. Stat Med 22, 2417–2428 (2003).
    [3] Yang Z, Sun X, Hardin JW. Stat Med 29, 2888–2892 (2010).
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
        correct_a, correct_b: (N,) bool, whether each classifier is correct.
        clusters: (N,) the lesion of each image.
        method: "yang", "obuchowski" or "durkalski".

    If every d_k is 0, the statistic is 0 and p is 1.

    Raises:
        ValueError: unequal lengths or an unknown method.
    """
    correct_a, correct_b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if not len(correct_a) == len(correct_b) == len(clusters):
        raise ValueError("correct_a, correct_b and clusters differ in length")
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not one of {', '.join(METHODS)}")
    ids, lesion = np.unique(clusters, return_inverse=True)
    difference = correct_a.astype(float) - correct_b
    by_lesion: np.ndarray = np.bincount(lesion, weights=difference, minlength=len(ids))  # (K,) d_k
    if method == "durkalski":
        by_lesion = by_lesion / np.bincount(lesion, minlength=len(ids))
    variance = float(by_lesion @ by_lesion)
    statistic = float(by_lesion.sum() ** 2 / variance) if variance else 0.0
    if method == "obuchowski":
        statistic *= (len(ids) - 1) / len(ids)
    pvalue = float(chdtrc(1, statistic))
    return ClusteredMcNemarResult(statistic, pvalue, method, len(ids), int((by_lesion != 0).sum()))
