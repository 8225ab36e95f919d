"""Coverage of intervals for training a recipe again, on normal effects: for validity.py.

The value of a training is the sum of what the lesions, the training and both together add. The effect of the lesions on
the mean has a standard deviation of one; that of a training is `ratio` times as large, half its variance the
partition's, where there are several; that of the interaction on one training is `interaction` times as large.
"""

from collections.abc import Iterator

import numpy as np

from skinlesion.stats.linear_estimate import LinearEstimate
from skinlesion.stats.recipe import recipe

LESIONS = 200
DESIGNS = {
    "3 seeds on one partition": tuple((0, seed) for seed in range(3)),
    "3 partitions, 3 seeds each": tuple((repeat, seed) for repeat in range(3) for seed in range(3)),
}
RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)
INTERACTIONS = (0.0, 1.0, 3.0)


def settings() -> Iterator[tuple[str, float, float]]:
    """Yield every design, ratio and interaction."""
    for design in DESIGNS:
        for ratio in RATIOS:
            for interaction in INTERACTIONS:
                yield design, ratio, interaction


def covered(design: str, ratio: float, interaction: float, rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether the intervals for the recipe and for these trained models alone cover the true value, 0."""
    trainings = DESIGNS[design]
    repeats = np.array([repeat for repeat, _ in trainings])
    seeds = rng.normal(size=len(trainings)) * ratio
    if repeats.max():
        seeds = np.sqrt(0.5) * seeds + np.sqrt(0.5) * ratio * rng.normal(size=repeats.max() + 1)[repeats]
    lesions = rng.normal(size=LESIONS) + interaction * rng.normal(size=(len(trainings), LESIONS))
    lesions *= np.sqrt(LESIONS)  # so that the mean over lesions has a standard deviation of 1
    influence = (lesions - lesions.mean(axis=1, keepdims=True)) / LESIONS
    by_layer = lesions.mean(axis=1) + seeds
    estimate = LinearEstimate(
        float(by_layer.mean()), influence.mean(axis=0), np.zeros(LESIONS, dtype=int), by_layer=by_layer,
        layer_influence=influence,
    )  # fmt: skip
    recipe_estimate = recipe([1], [estimate], [trainings])
    assert recipe_estimate is not None
    limits = recipe_estimate.interval(), estimate.interval()
    return limits[0][0] <= 0 <= limits[0][1], limits[1][0] <= 0 <= limits[1][1]
