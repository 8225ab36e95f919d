"""McNemar's test when images come in clusters (lesions): three statistics, all χ² with one degree of freedom.

With d_k the images of lesion k that only a gets right less those that only b gets right, n_k its images and K lesions:

- Yang et al. 2010:  (Σ d_k)² / Σ d_k²
- Obuchowski 1998:   the same times (K − 1) / K: its variance is estimated with K / (K − 1)
- Durkalski 2003:    (Σ d_k / n_k)² / Σ (d_k / n_k)²: every lesion weighs the same, whatever its number of images

Yang's is the default. It tests the difference of accuracies over images, the figure that is reported beside it; it is
exactly McNemar's statistic (without correction) when every lesion has one image; and it needs no K. Durkalski's tests
another quantity, the difference over lesions of the mean within a lesion. `benchmarks/validity.md` has the size of all.

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
    """The statistic (χ², one degree of freedom), its p-value, and what it rests on."""

    statistic: float
    pvalue: float
    method: str
    clusters: int
    discordant_clusters: int  # lesions with d_k ≠ 0: the χ² approximation wants some ten of them


def clustered_mcnemar(
    correct_a: np.ndarray, correct_b: np.ndarray, clusters: np.ndarray, method: str = "yang"
) -> ClusteredMcNemarResult:
    """Return the two-sided test that a and b are right equally often, lesions being independent and images not.

    Args:
        correct_a, correct_b: (N,) bool, whether each classifier is right.
        clusters: (N,) the lesion of each image.
        method: "yang", "obuchowski" or "durkalski".

    Without lesions that lean to one side nothing speaks against equality: the statistic is 0 and p is 1.

    Raises:
        ValueError: unequal lengths or an unknown method.
    """
    correct_a, correct_b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if not len(correct_a) == len(correct_b) == len(clusters):
        raise ValueError("correct_a, correct_b and clusters differ in length")
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not one of {', '.join(METHODS)}")
    ids, lesion = np.unique(clusters, return_inverse=True)
    lean = correct_a.astype(float) - correct_b
    leaning: np.ndarray = np.bincount(lesion, weights=lean, minlength=len(ids))  # (K,) d_k
    if method == "durkalski":
        leaning = leaning / np.bincount(lesion, minlength=len(ids))
    spread = float(leaning @ leaning)
    statistic = float(leaning.sum() ** 2 / spread) if spread else 0.0
    if method == "obuchowski":
        statistic *= (len(ids) - 1) / len(ids)
    pvalue = float(chdtrc(1, statistic))
    return ClusteredMcNemarResult(statistic, pvalue, method, len(ids), int((leaning != 0).sum()))
