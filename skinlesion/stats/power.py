"""Power analysis: the smallest difference in sensitivity that a test set of this size can detect."""

import numpy as np
from scipy.special import chdtri

_STEPS = 14  # bisection: to 1 / 2¹⁴


def minimum_detectable_difference(
    leaning: np.ndarray,
    misses: np.ndarray,
    sizes: np.ndarray,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    simulations: int = 1000,
    seed: int = 0,
) -> float:
    """Return the gain in sensitivity that Yang's clustered McNemar test detects with the given power, by simulation.

    Each simulated test set draws lesions with replacement and gives every lesion's observed disagreement a random sign
    (the null hypothesis). Then each image that b misses becomes correct with a probability that is increased until the
    test rejects with the wanted power.

    Args:
        leaning: (K,) per lesion, the images that only b classifies correctly minus those that only a does.
        misses: (K,) per lesion, the images that b misclassifies.
        sizes: (K,) per lesion, its images.

    Returns:
        The mean gain as a fraction of images, 0 to 1, or NaN if the test lacks that power even without any miss.
    """
    rng = np.random.default_rng(seed)
    lesions = len(leaning)
    drawn = rng.integers(0, lesions, (simulations, lesions))
    null = leaning[drawn] * rng.choice((-1.0, 1.0), (simulations, lesions))
    missed, images = misses[drawn].astype(int), sizes[drawn].sum(axis=1)
    critical = float(chdtri(1, alpha))
    # One uniform draw per image, shared by all effect sizes: power then never decreases as the effect grows.
    most = max(int(missed.max(initial=0)), 1)
    uniform = rng.random((most, simulations, lesions))
    possible = np.arange(most)[:, None, None] < missed

    def rejected(share: float) -> tuple[float, float]:
        gain = ((uniform < share) & possible).sum(axis=0)
        moved = null + gain
        spread = (moved**2).sum(axis=1)
        total = moved.sum(axis=1)
        statistic = np.divide(total**2, spread, out=np.zeros(simulations), where=spread > 0)
        return float(((statistic > critical) & (total > 0)).mean()), float((gain.sum(axis=1) / images).mean())

    if rejected(1.0)[0] < power:
        return float("nan")
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if rejected(middle)[0] >= power else (middle, high)
    return rejected(high)[1]
