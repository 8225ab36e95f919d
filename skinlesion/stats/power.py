"""Power analysis: the smallest difference in sensitivity that a test set of this size can detect."""

import numpy as np
from scipy.special import chdtri

from skinlesion.stats.clustered_mcnemar import clustered_statistic

_STEPS = 14  # bisection: to 1 / 2¹⁴


def minimum_detectable_difference(
    leaning: np.ndarray,
    misses_a: np.ndarray,
    misses_b: np.ndarray,
    sizes: np.ndarray,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    simulations: int = 1000,
    seed: int = 0,
) -> float:
    """Return the gain in sensitivity that Yang's clustered McNemar test detects with the given power, by simulation.

    Each simulated test set draws lesions with replacement and exchanges the two models' answers on every lesion with
    probability one half (the null hypothesis). Then each image that b, so exchanged, misses becomes correct with a
    probability that is increased until the test rejects with the wanted power.

    Args:
        leaning: (K,) per lesion, the images that only b classifies correctly minus those that only a does.
        misses_a, misses_b: (K,) per lesion, the images that each model misclassifies. As a mean over trainings a miss
            need not be whole: the rest becomes correct at once.
        sizes: (K,) per lesion, its images.

    Returns:
        The mean gain as a fraction of images, 0 to 1, or NaN if the test lacks that power even without any miss.

    Raises:
        ValueError: `leaning` that is not `misses_a − misses_b`, or more misses than images.
    """
    leaning, sizes = np.asarray(leaning, dtype=float), np.asarray(sizes)
    missed_by = np.stack([np.asarray(misses_b, dtype=float), np.asarray(misses_a, dtype=float)])  # kept, exchanged
    if np.abs(missed_by[1] - missed_by[0] - leaning).max(initial=0) > 1e-6:
        raise ValueError("leaning must be misses_a − misses_b")
    if (missed_by > sizes + 1e-6).any():
        raise ValueError("a lesion has more misses than images")
    rng = np.random.default_rng(seed)
    lesions = len(leaning)
    drawn = rng.integers(0, lesions, (simulations, lesions))
    exchanged = rng.integers(0, 2, (simulations, lesions))
    null = np.where(exchanged == 1, -1.0, 1.0) * leaning[drawn]
    # After an exchange b stands in a's place: what it misses is what a missed.
    missed, size = missed_by[exchanged, drawn], sizes[drawn]
    images = size.sum(axis=1)
    critical = float(chdtri(1, alpha))
    # One uniform draw per image, shared by all effect sizes: power then never decreases as the effect grows. Only
    # lesions with a miss can gain, which are few: the others' draws are not kept.
    most = max(int(np.ceil(missed.max(initial=0))), 1)
    can_gain = missed > 0
    uniform = np.stack([rng.random((simulations, lesions))[can_gain] for _ in range(most)])
    possible = np.clip(missed[can_gain] - np.arange(most)[:, None], 0.0, 1.0)  # of each image, the share missed

    def rejected(share: float) -> tuple[float, float]:
        gain = np.zeros(missed.shape)
        gain[can_gain] = np.where(uniform < share, possible, 0.0).sum(axis=0)
        moved = null + gain
        significant = (clustered_statistic(moved, size) > critical) & (moved.sum(axis=1) > 0)
        return float(significant.mean()), float((gain.sum(axis=1) / images).mean())

    if rejected(1.0)[0] < power:
        return float("nan")
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if rejected(middle)[0] >= power else (middle, high)
    return rejected(high)[1]
