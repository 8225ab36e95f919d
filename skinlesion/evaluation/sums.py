"""Statistics that are functions of sums over images, so that a bootstrap needs one matrix product."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

Totals = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SumStatistic:
    """A function of column sums: `columns` (N, K) are added over images, `function` turns (…, K) into (…).

    Columns of which an image has a value in few are a sparse array; those of others are added fastest if contiguous.
    """

    columns: np.ndarray | csc_array
    function: Totals

    @property
    def value(self) -> float:
        """Return the figure on the data, NaN where it has none."""
        return float(self.function(self.columns.sum(axis=0)))


def ratio(above: np.ndarray, below: np.ndarray) -> SumStatistic:
    """Return Σ above / Σ below for above and below (N,); NaN where the sum below is 0."""
    return SumStatistic(np.array([above, below], dtype=float).T, _ratio)


def mean(values: np.ndarray) -> SumStatistic:
    """Return the mean of values (N,) over images."""
    return ratio(values, np.ones(len(values)))


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below, NaN where below is not positive."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=float), np.asarray(below, dtype=float))
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def _ratio(totals: np.ndarray) -> np.ndarray:
    return divide(totals[..., 0], totals[..., 1])


def sparse_columns(places: np.ndarray, values: np.ndarray, width: int) -> csc_array:
    """Return columns (N, `width`) of which image n has `values` (N, V) at the columns `places` (N, V), 0 elsewhere.

    Places of an image differ.
    """
    images, each = places.shape
    rows = np.repeat(np.arange(images), each)
    return csc_array((values.ravel(), (rows, places.ravel())), shape=(images, width))
