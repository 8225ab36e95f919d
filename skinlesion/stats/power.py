"""The smallest difference in a class's sensitivity that a test set of this size could show."""

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

    Each simulated test set draws lesions with replacement, gives every lesion's observed disagreement a random sign
    (no difference between the classifiers) and then turns each image that b misses into a hit with a probability
    that is raised until the test rejects often enough.

    Args:
        leaning: (K,) images of each lesion that only b gets right less those that only a gets right.
        misses: (K,) images of each lesion that b misses.
        sizes: (K,) images of each lesion.

    Returns:
        The mean gain as a share of images in 0..1, or NaN where even every miss turned into a hit is not enough.
    """
    rng = np.random.default_rng(seed)
    lesions = len(leaning)
    drawn = rng.integers(0, lesions, (simulations, lesions))
    null = leaning[drawn] * rng.choice((-1.0, 1.0), (simulations, lesions))
    open_to_gain, images = misses[drawn].astype(int), sizes[drawn].sum(axis=1)
    critical = float(chdtri(1, alpha))
    # One uniform draw an image, shared by all effect sizes: power then never falls as the effect grows.
    most = max(int(open_to_gain.max(initial=0)), 1)
    uniform = rng.random((most, simulations, lesions))
    possible = np.arange(most)[:, None, None] < open_to_gain

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
