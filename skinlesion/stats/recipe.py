"""Inference on training a recipe again: on other lesions, with other seeds, and on other partitions where there are.

A metric of a model (the mean over its trainings) varies with the lesions and with the trainings. On the lesions at hand
the trainings show their own variance: that between the means of partitions divided by their number where there are two
or more, otherwise that between seeds divided by theirs (of partitions it then says nothing). A partition drawn anew has
seeds of its own, so that partitions carry the variance of seeds. What a training makes of single lesions, their
interaction, is in both parts: it is estimated from the influences on each training and counted once, but the sum never
falls below either part. The sum has Satterthwaite's degrees of freedom, at most those of the lesions.

How often these intervals cover, for trainings that vary a quarter to four times as much as lesions and with
interactions, is simulated in benchmarks/validity.md; with three trainings that vary four times as much it is 92 %: too
few to know that.

References:
    [1] Satterthwaite FE. Biometrics Bulletin 2, 110–114 (1946).
    [2] Searle SR, Casella G, McCulloch CE. Variance Components (1992), ch. 4 (crossed effects by moments).
    [3] Bouthillier X et al. Proc MLSys 3, 747–769 (2021) (training is a source of variance of benchmarks).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from skinlesion.stats.linear_estimate import (
    LinearEstimate,
    contrast,
    lesion_factors,
    limits,
    paired_contrast,
    pvalue,
    satterthwaite,
)

_MOST_OF_TRAININGS = 2.0  # times the standard deviation of the lesions: up to there intervals hold

#: One training of a model: the partition of the data it belongs to, and its seed.
Training = tuple[int, int]


@dataclass(frozen=True)
class RecipeEstimate:
    """A value with the variance it would have over other lesions and other trainings.

    Attributes:
        estimate: the value on these trainings, whose variance is that of the lesions alone.
        lesion: that variance.
        training: the variance of the value over trainings.
        shared: what both hold: the interaction of trainings and lesions.
        degrees: of freedom of the variance.
        trainings: in words, which trainings there were.
    """

    estimate: LinearEstimate
    lesion: float
    training: float
    shared: float
    degrees: float
    trainings: str

    @property
    def value(self) -> float:
        """Return the value, the mean over trainings."""
        return self.estimate.value

    @property
    def variance(self) -> float:
        """Return the variance over lesions and trainings, NaN where that over lesions cannot be estimated."""
        return _total(self.lesion, self.training, self.shared)

    @property
    def standard_error(self) -> float:
        """Return the square root of the variance."""
        return float(np.sqrt(self.variance))

    @property
    def caution(self) -> str:
        """Return how far the interval is off where trainings vary far more than lesions, "" where it holds."""
        if self.training <= _MOST_OF_TRAININGS**2 * self.lesion:
            return ""
        times = np.sqrt(self.training / self.lesion) if self.lesion else np.inf
        return (
            f"approximate: trainings vary {times:.1f} times as much as lesions, a 95% interval covers 91 to 93% "
            "(benchmarks/validity.md)"
        )

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the t interval, on the scale of the estimate; NaN without variance."""
        return limits(self.estimate, self.variance, self.degrees, confidence)

    def pvalue(self, null: float = 0.0) -> float:
        """Return the two-sided p-value of `null`, which belongs to the interval."""
        return pvalue(self.estimate, self.variance, self.degrees, null)


def recipe(
    coefficients: Sequence[float], estimates: Sequence[LinearEstimate], trainings: Sequence[Sequence[Training]]
) -> RecipeEstimate | None:
    """Return Σ c_i · estimate_i with the variance of training the recipes again, None where that is not estimable.

    `recipe([1], [a], [layers_a])` is a model's own metric, `recipe([-1, 1], [a, b], [layers_a, layers_b])` the
    difference b − a. Estimates with the same trainings are paired, training by training; others add their variances.

    Args:
        estimates: on the same lesions; with `layer_influence`, or the interaction counts twice (a wider interval).
        trainings: per estimate the partition and the seed of each layer.

    Raises:
        ValueError: numbers that do not match, a training listed twice, or estimates on different lesions.
    """
    if not len(coefficients) == len(estimates) == len(trainings):
        raise ValueError(f"{len(coefficients)} coefficients, {len(estimates)} estimates, {len(trainings)} trainings")
    whole = contrast(coefficients, estimates)
    if len(estimates) == 1 and coefficients[0] == 1:
        whole = estimates[0]
    parts, shared = [], 0.0
    for members in _same_trainings(trainings):
        group = paired_contrast(
            [coefficients[i] for i in members], [_sorted_layers(estimates[i], trainings[i]) for i in members]
        )
        repeats = np.array([repeat for repeat, _ in sorted(trainings[members[0]])])
        assert group.by_layer is not None
        part = training_variance(group.by_layer, repeats)
        if part is None:
            return None
        parts.append(part)
        if group.layer_influence is not None:
            shared += interaction_variance(group.layer_influence, repeats, whole.stratum)
    training = float(sum(variance for variance, _ in parts))
    lesion = whole.variance
    variances = np.array([lesion, *(variance for variance, _ in parts)])
    lesion_degrees = whole.degrees if lesion > 0 else np.inf
    degrees = satterthwaite(variances, np.array([lesion_degrees, *(degrees for _, degrees in parts)]))
    degrees = min(degrees, lesion_degrees)  # so that no interval is narrower than that for these trainings alone
    words = "; ".join(dict.fromkeys(describe_trainings(layers) for layers in trainings))
    return RecipeEstimate(whole, lesion, training, shared, degrees, words)


def training_variance(values: np.ndarray, repeats: np.ndarray) -> tuple[float, float] | None:
    """Return the variance of the mean of L trainings over trainings and its degrees of freedom, None for one training.

    Args:
        values: (L,) the metric of each training.
        repeats: (L,) the partition of each. Of two partitions or more the variance is that between their means.
    """
    shares, values = _units(np.asarray(values, dtype=float)[:, None], repeats)
    if len(shares) < 2:
        return None
    return _variance_of_mean(shares, values)[0], float(len(shares) - 1)


def interaction_variance(layer_influence: np.ndarray, repeats: np.ndarray, stratum: np.ndarray) -> float:
    """Return the part of the variance of the mean of L trainings that is their interaction with lesions, 0 for one.

    Args:
        layer_influence: (L, K) of each training.
        repeats: (L,) as for `training_variance`.
        stratum: (K,) as in `LinearEstimate`.
    """
    shares, influence = _units(layer_influence, repeats)
    return float(_variance_of_mean(shares, influence) @ lesion_factors(stratum)) if len(shares) > 1 else 0.0


def describe_trainings(trainings: Sequence[Training]) -> str:
    """Return in words which trainings there are."""
    count = len(trainings)
    partitions = len({repeat for repeat, _ in trainings})
    if count == 1:
        return "one training"
    if partitions == 1:
        return f"{count} seeds on one partition"
    if partitions == count:
        return f"{partitions} partitions with one seed each"
    if len({sum(repeat == other for other, _ in trainings) for repeat, _ in trainings}) == 1:
        return f"{partitions} partitions with {count // partitions} seeds each"
    return f"{count} trainings on {partitions} partitions"


def _total(lesion: float, training: float, shared: float) -> float:
    return float("nan") if np.isnan(lesion) else max(lesion + training - shared, lesion, training)


def _same_trainings(trainings: Sequence[Sequence[Training]]) -> list[list[int]]:
    """Return the positions of estimates grouped by their trainings."""
    groups: dict[tuple[Training, ...], list[int]] = {}
    for position, layers in enumerate(trainings):
        key = tuple(sorted((repeat, seed) for repeat, seed in layers))
        if len(set(key)) < len(key):
            raise ValueError(f"a training stands twice among {', '.join(map(str, key))}")
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def _sorted_layers(estimate: LinearEstimate, trainings: Sequence[Training]) -> LinearEstimate:
    """Return an estimate with its layers in the order of sorted trainings."""
    if estimate.by_layer is None or len(estimate.by_layer) != len(trainings):
        raise ValueError(f"{len(trainings)} trainings do not fit the layers of an estimate")
    order = sorted(range(len(trainings)), key=lambda layer: trainings[layer])
    influence = estimate.layer_influence
    return replace(
        estimate,
        by_layer=estimate.by_layer[order],
        layer_influence=None if influence is None else influence[order],
    )


def _units(values: np.ndarray, repeats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares (U,) and the means (U, …) of the independent units: partitions if several, else layers."""
    _, unit = np.unique(repeats, return_inverse=True)
    if len(unit) != len(values):
        raise ValueError(f"{len(values)} values and {len(unit)} partitions")
    if unit.max() == 0:
        unit = np.arange(len(values))
    sizes = np.bincount(unit)
    means = np.stack([values[unit == number].mean(axis=0) for number in range(len(sizes))])
    return sizes / len(values), means


def _variance_of_mean(shares: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the variance (…) of Σ share · value over units; s² / U where they have equal shares."""
    centred = values - np.tensordot(shares, values, axes=1)
    count = len(shares)
    return np.asarray(count / (count - 1) * np.tensordot(shares**2, centred**2, axes=1))
