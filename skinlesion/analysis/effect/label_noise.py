"""How far results rest on diagnoses that no histology confirmed: metrics and differences under flipped labels.

A lesion whose diagnosis histology did not confirm is mislabelled with a stated probability; its true diagnosis is then
one of the classes that look like it, each with the same odds; which do, CONFUSABLE, is an assumption. All its images
change together, and all systems see the same flips, so that differences stay paired. Only the labels that answers are
judged by change: what wrong labels did in training is not undone, and a model that learned them looks better on them
than it is.

Reference:
    Northcutt CG, Athalye A, Mueller J. Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks.
    NeurIPS 2021 Datasets and Benchmarks.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.evaluation.metrics import metric_value
from skinlesion.evaluation.predictions import Predictions
from skinlesion.vocabulary import CLASSES

RATES = (0.01, 0.05, 0.1)

#: Class → what a lesion labelled so may be instead.
CONFUSABLE: dict[str, tuple[str, ...]] = {
    "akiec": ("bcc", "bkl"),
    "bcc": ("akiec", "bkl", "mel"),
    "bkl": ("akiec", "mel", "nv"),
    "df": ("bcc", "nv"),
    "mel": ("bkl", "nv"),
    "nv": ("bkl", "mel"),
    "vasc": ("bcc", "mel", "nv"),
}

COLUMNS = ("rate", "a", "b", "metric", "as_labelled", "mean", "low", "high", "same_sign")
_RANGE = (0.025, 0.975)


def flip_labels(
    labels: np.ndarray, lesions: np.ndarray, confirmed: np.ndarray, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Return labels (N,) of which those of unconfirmed lesions are wrong with probability `rate`, lesion by lesion.

    A lesion counts as confirmed where any of its images is. Labels that differ within a lesion are each replaced by
    what is confusable with them.

    Args:
        labels: (N,) positions in CLASSES.
        lesions: (N,) the lesion of each image.
        confirmed: (N,) bool, whether histology confirmed the diagnosis.
    """
    ids, lesion = np.unique(lesions, return_inverse=True)
    unconfirmed = np.bincount(lesion, confirmed, len(ids)) == 0
    # Both numbers are drawn for every lesion, so that one rate's flips are among a higher rate's of the same generator.
    wrong, which = rng.random(len(ids)) < rate, rng.random(len(ids))
    flipped = labels.copy()
    for place, name in enumerate(CLASSES):
        confusable = np.array([CLASSES.index(other) for other in CONFUSABLE[name]])
        rows = (labels == place) & (wrong & unconfirmed)[lesion]
        flipped[rows] = confusable[(which[lesion[rows]] * len(confusable)).astype(int)]
    return flipped


def label_noise_table(
    systems: Mapping[str, Predictions],
    confirmed: Collection[str],
    metrics: Sequence[str],
    pairs: Sequence[tuple[str, str]] = (),
    *,
    rates: Sequence[float] = RATES,
    draws: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Return COLUMNS: every system's metrics, then every pair's differences b − a, means over trainings.

    `low` and `high` hold 95 % of the draws of flips (no confidence interval: lesions are not resampled); `same_sign` is
    the share of draws in which a difference keeps its sign, NaN for one system (`b` is empty there). A draw in which a
    metric is undefined is left out of its row.

    Args:
        systems: name → predictions of the same images in the same order.
        confirmed: ids of the images whose diagnosis histology confirmed.
        pairs: (a, b) of names in `systems`.

    Raises:
        ValueError: systems hold different images, lesions or labels.
    """
    first = next(iter(systems.values()))
    for name, other in systems.items():
        for part in ("image_ids", "lesions", "labels"):
            if not np.array_equal(getattr(first, part), getattr(other, part)):
                raise ValueError(f"{name}: other {part} than the first system")
    by_histology = np.isin(first.image_ids, list(confirmed))
    rows: list[dict[str, Any]] = []
    labelled = {name: _values(system, first.labels, metrics) for name, system in systems.items()}
    for rate in rates:
        drawn: dict[str, list[np.ndarray]] = {name: [] for name in systems}
        for draw in range(draws):
            labels = flip_labels(first.labels, first.lesions, by_histology, rate, np.random.default_rng([seed, draw]))
            for name, system in systems.items():
                drawn[name].append(_values(system, labels, metrics))
        values = {name: np.array(arrays) for name, arrays in drawn.items()}  # (D, K)
        for place, metric in enumerate(metrics):
            for name in systems:
                about = {"rate": rate, "a": name, "b": "", "metric": metric}
                rows.append(about | _spread(labelled[name][place], values[name][:, place]))
            for a, b in pairs:
                about = {"rate": rate, "a": a, "b": b, "metric": metric}
                difference = labelled[b][place] - labelled[a][place]
                spread = _spread(difference, values[b][:, place] - values[a][:, place], signed=True)
                rows.append(about | spread)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _values(system: Predictions, labels: np.ndarray, metrics: Sequence[str]) -> np.ndarray:
    """Return each metric (K,), the mean over trainings."""
    by_training = [[metric_value(name, labels, layer) for name in metrics] for layer in system.probabilities]
    return np.mean(by_training, axis=0)


def _spread(as_labelled: float, draws: np.ndarray, *, signed: bool = False) -> dict[str, float]:
    finite_draws = draws[~np.isnan(draws)]
    nothing = {"as_labelled": as_labelled, "mean": np.nan, "low": np.nan, "high": np.nan, "same_sign": np.nan}
    if not len(finite_draws):
        return nothing
    low, high = np.quantile(finite_draws, _RANGE)
    same = float((np.sign(finite_draws) == np.sign(as_labelled)).mean()) if signed else np.nan
    return nothing | {"mean": float(finite_draws.mean()), "low": float(low), "high": float(high), "same_sign": same}
