"""The paired cluster bootstrap: lesions are resampled with replacement, all models share each resample.

References:
    [1] Efron B, Tibshirani RJ. An Introduction to the Bootstrap (1993), ch. 13 (percentile) and 14 (BCa).
    [2] Davison AC, Hinkley DV. Bootstrap Methods and their Application (1997), §3.8 (clusters), §4.4 (p-values
        with the +1 correction).
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from skinlesion.stats.resampling import LayerPlan, Schema, check_predictions, plan_layer, resampled_units

#: Replicates per child of the seed: fixed, so that the number of threads never changes a result.
BLOCK = 64

_RESAMPLED_IMAGES = 200_000_000
_FEWEST_REPLICATES = 500


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; `undefined` replicates have no value and are excluded."""

    estimate: float
    low: float
    high: float
    undefined: int


@dataclass(frozen=True)
class Difference:
    """The difference b − a with its interval and two-sided p-value; `undefined` replicates are excluded."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    pvalue: float
    undefined: int


@dataclass(frozen=True)
class Bootstrap:
    """Metrics of M models on the data and on R resamples of its lesions.

    A model's metric is the mean over its training seeds: it describes a single training, not an ensemble.
    """

    metrics: tuple[str, ...]  # (K,)
    point: tuple[np.ndarray, ...]  # (S, K) per model
    replicates: tuple[np.ndarray, ...]  # (R, S, K) per model
    jackknife: tuple[np.ndarray, ...] | None = None  # (L, S, K) per model, one lesion left out; for BCa

    def draws(self, model: int, metric: str) -> np.ndarray:
        """Return the replicates (R,) of one model's metric."""
        return np.asarray(self.replicates[model][:, :, self.metrics.index(metric)].mean(axis=1))

    def estimate(self, model: int, metric: str) -> float:
        """Return one model's metric on the data."""
        return float(self.point[model][:, self.metrics.index(metric)].mean())

    def interval(self, model: int, metric: str, confidence: float = 0.95, method: str = "percentile") -> Interval:
        """Return the percentile or BCa interval of one model's metric [1]."""
        estimate = self.estimate(model, metric)
        left_out = self._left_out(model, metric, method)
        low, high, undefined = _limits(self.draws(model, metric), estimate, left_out, confidence)
        return Interval(estimate, low, high, undefined)

    def difference(
        self, a: int, b: int, metric: str, confidence: float = 0.95, method: str = "percentile"
    ) -> Difference:
        """Return metric(b) − metric(a), its interval, and the p-value that inverts the percentile interval [2].

        p = 2 · min(1 + #{d* ≤ 0}, 1 + #{d* ≥ 0}) / (R + 1), at most 1 and never 0.
        """
        draws = self.draws(b, metric) - self.draws(a, metric)
        value_a, value_b = self.estimate(a, metric), self.estimate(b, metric)
        left_out_a, left_out_b = self._left_out(a, metric, method), self._left_out(b, metric, method)
        left_out = None if left_out_a is None or left_out_b is None else left_out_b - left_out_a
        low, high, undefined = _limits(draws, value_b - value_a, left_out, confidence)
        finite_draws = draws[~np.isnan(draws)]
        tail = min((finite_draws <= 0).sum(), (finite_draws >= 0).sum())
        pvalue = min(1.0, 2 * (1 + int(tail)) / (len(finite_draws) + 1))
        return Difference(value_a, value_b, value_b - value_a, low, high, pvalue, undefined)

    def _left_out(self, model: int, metric: str, method: str) -> np.ndarray | None:
        if method == "percentile":
            return None
        if method != "bca":
            raise ValueError(f"method {method!r} is neither 'percentile' nor 'bca'")
        if self.jackknife is None:
            raise ValueError("BCa needs a bootstrap made with jackknife=True")
        return np.asarray(self.jackknife[model][:, :, self.metrics.index(metric)].mean(axis=1))


def bootstrap(
    labels: np.ndarray,
    models: Sequence[np.ndarray],
    clusters: np.ndarray,
    metrics: Sequence[str],
    schema: Schema,
    *,
    replicates: int = 10_000,
    seed: int = 0,
    stratified: bool = False,
    jackknife: bool = False,
    threads: int | None = None,
) -> Bootstrap:
    """Return the paired lesion-cluster bootstrap of several models on the same images.

    Args:
        labels: (N,) positions in `schema.class_names`.
        models: per model the probabilities (S, N, C), one layer per training seed.
        clusters: (N,) the lesion of each image; all different for the naive bootstrap of images. Of many lesions,
            groups are resampled (`resampled_units`), unless stratified.
        metrics: names from `schema.metrics()`.
        stratified: resample lesions within the class of their first image, which keeps the number of lesions per class.
        jackknife: also compute the leave-one-lesion-out values that BCa intervals need.
        threads: number of threads; all cores by default. Only `seed` changes the result.

    Raises:
        ValueError: input that `check_predictions` refuses.
    """
    check_predictions(labels, models, clusters, metrics, schema)
    units = clusters if stratified else resampled_units(clusters, seed)
    ids, first, lesion = np.unique(units, return_index=True, return_inverse=True)
    lesions = len(ids)
    # Lesions are numbered stratum by stratum: each stratum is a range of numbers.
    strata = labels[first] if stratified else np.zeros(lesions, dtype=int)
    place = np.empty(lesions, dtype=int)
    place[np.argsort(strata, kind="stable")] = np.arange(lesions)
    sizes = np.unique(strata, return_counts=True)[1]
    plans = [
        [plan_layer(labels, layer, place[lesion], lesions, metrics, schema) for layer in model] for model in models
    ]
    children = np.random.SeedSequence(seed).spawn(-(-replicates // BLOCK))

    memory = _Memory(lesions)

    def resample(block: int) -> list[np.ndarray]:
        size = min(BLOCK, replicates - block * BLOCK)
        weights = draw_weights(np.random.default_rng(children[block]), sizes, memory)
        return [values[:size] for values in _evaluate(plans, weights)]

    def leave_out(start: int) -> list[np.ndarray]:
        excluded = np.arange(start, min(start + BLOCK, lesions))
        weights = np.ones((lesions, len(excluded)), np.float32)
        weights[excluded, np.arange(len(excluded))] = 0
        return _evaluate(plans, weights)

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        drawn = _joined(pool.map(resample, range(len(children)))) if children else ()
        without = _joined(pool.map(leave_out, range(0, lesions, BLOCK))) if jackknife else None
    point = tuple(values[0] for values in _evaluate(plans, np.ones((lesions, 1), np.float32)))
    return Bootstrap(tuple(metrics), point, drawn, without)


def enough_replicates(asked: int, images: int) -> int:
    """Return the replicates of so many images: those asked for, but no more than draw 200 million images in all.

    At least 500: resampled statistics of so many lesions are normal, and 500 replicates give their spread to 3 %.
    """
    return min(asked, max(_FEWEST_REPLICATES, _RESAMPLED_IMAGES // max(1, images)))


class _Memory(threading.local):
    """Two arrays that a thread reuses for every block: allocating them anew costs more than drawing."""

    def __init__(self, lesions: int) -> None:
        self.counts = np.empty((BLOCK, lesions), np.float32)
        self.weights = np.empty((lesions, BLOCK), np.float32)


def draw_weights(
    rng: np.random.Generator, sizes: Sequence[int] | np.ndarray, memory: _Memory | None = None
) -> np.ndarray:
    """Return (L, BLOCK) float32: how often each lesion is drawn when each stratum is resampled with replacement.

    Args:
        sizes: number of lesions per stratum; they sum to L.
        memory: working arrays; the next call with the same memory overwrites the returned array.
    """
    memory = memory or _Memory(int(np.sum(sizes)))
    for row in memory.counts:
        start = 0
        for size in sizes:
            row[start : start + size] = np.bincount(rng.integers(0, size, size=size), minlength=size)
            start += size
    np.copyto(memory.weights, memory.counts.T)
    return memory.weights


def _evaluate(plans: list[list[LayerPlan]], weights: np.ndarray) -> list[np.ndarray]:
    """Return the metrics (R, S, K) of each model."""
    return [np.stack([layer.evaluate(weights) for layer in model], axis=1) for model in plans]


def _joined(blocks) -> tuple[np.ndarray, ...]:  # type: ignore[no-untyped-def]
    return tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))


def _limits(
    draws: np.ndarray, estimate: float, left_out: np.ndarray | None, confidence: float
) -> tuple[float, float, int]:
    """Return low, high and the number of undefined draws; BCa limits if `left_out` is given [1, eq. 14.10]."""
    finite_draws = draws[~np.isnan(draws)]
    undefined = len(draws) - len(finite_draws)
    if len(finite_draws) == 0:
        return float("nan"), float("nan"), undefined
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if left_out is not None and finite_draws.min() < finite_draws.max():
        below = ((finite_draws < estimate).sum() + 0.5 * (finite_draws == estimate).sum()) / len(finite_draws)
        bias = ndtri(np.clip(below, 0.5 / len(finite_draws), 1 - 0.5 / len(finite_draws)))
        centred = np.nanmean(left_out) - left_out[~np.isnan(left_out)]
        spread = (centred**2).sum()
        acceleration = (centred**3).sum() / (6 * spread**1.5) if spread else 0.0
        shifted = bias + ndtri(levels)
        levels = ndtr(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(finite_draws, levels)
    return float(low), float(high), undefined
