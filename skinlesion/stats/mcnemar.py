"""McNemar's test on two classifiers' hits and misses over the same images.

References:
    [1] McNemar Q. Psychometrika 12, 153–157 (1947).
    [2] Fagerland MW, Lydersen S, Laake P. BMC Med Res Methodol 13, 91 (2013), eqs 3 and 4 (exact and mid-p).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, chdtrc

METHODS = ("exact", "mid-p", "asymptotic", "asymptotic-corrected")


@dataclass(frozen=True)
class McNemarResult:
    """Discordant counts and the p-value; `only_a` images are right under a alone, `only_b` under b alone."""

    only_a: int
    only_b: int
    pvalue: float
    method: str


def discordant(correct_a: np.ndarray, correct_b: np.ndarray) -> tuple[int, int]:
    """Return how many images only a, and only b, gets right; both arguments are (N,) bool."""
    return int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray, method: str = "mid-p") -> McNemarResult:
    """Return the two-sided test that a and b are right equally often; every image counts as independent.

    Args:
        correct_a, correct_b: (N,) bool, whether each classifier is right.
        method: "exact" (binomial, conservative), "mid-p" (half the probability of the outcome itself; recommended
            by [2]), "asymptotic" (χ², one degree of freedom) or "asymptotic-corrected" (continuity-corrected).

    Without discordant images nothing speaks against equality: p is 1.

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
