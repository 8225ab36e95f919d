"""Estimates of many figures on the same lesion resamples, as means over training seeds."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from skinlesion.evaluation.minimum_sizes import replicates_say_nothing
from skinlesion.evaluation.sums import SumStatistic
from skinlesion.stats.lesion_bootstrap import Estimate, LesionBootstrap, mean_estimate

#: What a figure is called: a name, or a tuple of what it is about.
Key = TypeVar("Key", bound=Hashable)

#: One statistic per seed of each figure.
Figures = Mapping[Key, Sequence[SumStatistic]] | Iterable[tuple[Key, Sequence[SumStatistic]]]

_VALUES_AT_ONCE = 50_000_000  # of columns put side by side; bounds the memory


def estimate_sums(bootstrap: LesionBootstrap, figures: Figures[Key]) -> dict[Key, Estimate]:
    """Return each figure as the mean over its statistics (one per seed), resampled together."""
    estimates: dict[Key, Estimate] = {}
    batch: list[tuple[Key, Sequence[SumStatistic]]] = []
    values = 0
    for key, statistics in figures.items() if isinstance(figures, Mapping) else figures:
        batch.append((key, statistics))
        values += sum(statistic.columns.shape[0] * statistic.columns.shape[1] for statistic in statistics)
        if values > _VALUES_AT_ONCE:
            estimates |= _resample(bootstrap, batch)
            batch, values = [], 0
    return estimates | (_resample(bootstrap, batch) if batch else {})


def _resample(bootstrap: LesionBootstrap, batch: Iterable[tuple[Key, Sequence[SumStatistic]]]) -> dict[Key, Estimate]:
    # Several statistics can read the same columns.
    columns = {id(statistic.columns): statistic.columns for _, statistics in batch for statistic in statistics}
    totals = bootstrap.totals_of_units(np.hstack([bootstrap.by_unit(array) for array in columns.values()]))
    ends = np.cumsum([array.shape[1] for array in columns.values()])
    parts = dict(zip(columns, np.split(totals, ends[:-1], axis=1), strict=True))
    return {
        key: mean_estimate(
            [Estimate(statistic.value, statistic.function(parts[id(statistic.columns)])) for statistic in statistics]
        )
        for key, statistics in batch
    }


def estimate_weighted(
    bootstrap: LesionBootstrap, statistics: Sequence[Callable[[np.ndarray], np.ndarray]], names: Sequence[str]
) -> dict[str, Estimate]:
    """Return figures that need an order of the images, as means over seeds.

    Args:
        statistics: one per seed: unit weights (U, B) → (B, K), K the number of names.
    """
    ones = np.ones((bootstrap.units, 1), np.float32)
    by_seed = []
    for statistic in statistics:
        point, draws = statistic(ones)[0], bootstrap.over_units(statistic)
        by_seed.append([Estimate(float(point[place]), draws[:, place]) for place in range(len(names))])
    return {name: mean_estimate([estimates[place] for estimates in by_seed]) for place, name in enumerate(names)}


def described(estimate: Estimate, confidence: float) -> dict[str, float]:
    """Return `value, low, high` of an estimate."""
    low, high = estimate.interval(confidence)
    return {"value": estimate.value, "low": low, "high": high}


def judged(estimate: Estimate, confidence: float, lacking: str = "") -> dict[str, Any]:
    """Return `value, low, high, undefined, note`: the interval of an estimate where it has one, and why it has none.

    `undefined` is the number of replicates without a value.

    Args:
        lacking: why there can be no interval whatever the replicates are, such as too few lesions; "" where there can.
    """
    row: dict[str, Any] = described(estimate, confidence)
    undefined = int(np.isnan(estimate.draws).sum())
    note = lacking or replicates_say_nothing(row["value"], row["low"], row["high"], undefined, len(estimate.draws))
    if note:
        row["low"] = row["high"] = float("nan")
    return row | {"undefined": undefined, "note": note}
