"""Simulated data sets for validity.py: two models that are equally good, on lesions like HAM10000's.

Lesions are drawn, with replacement, from the pairs (diagnosis, number of images) of the real table. The score of a
class is its signal, where the lesion shows it, plus noise; a share ρ of the noise belongs to the lesion, the rest to
the image; a share of it is common to both models. Probabilities are the softmax of the scores.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from skinlesion.evaluation.metrics import metric_value
from skinlesion.vocabulary import CLASSES

#: Signal of each class: sensitivities and AUCs about those of frozen backbones on HAM10000.
SIGNALS = np.array([1.6, 1.9, 1.5, 1.7, 1.6, 2.4, 2.4])
_TRUTH_IMAGES = 1_000_000


@dataclass(frozen=True)
class Regime:
    """What data there are.

    Attributes:
        rho: share of the noise that images of one lesion have in common.
        alike: share of the noise that both models have in common.
        nevi: share of lesions that are nevi; None as in HAM10000.
        rare: number of dermatofibroma lesions; None as they are drawn.
        times: how many times as many data sets, because most of them lack lesions of some class.
    """

    name: str
    lesions: int = 1500
    rho: float = 0.6
    alike: float = 0.5
    nevi: float | None = None
    rare: int | None = None
    times: int = 1


REGIMES = (
    Regime("300 lesions", lesions=300, times=5),
    Regime("600", lesions=600, times=2),
    Regime("1,500"),
    Regime("7,470", lesions=7470),
    Regime("1,500, ρ = 0", rho=0.0),
    Regime("1,500, ρ = 1", rho=1.0),
    Regime("1,500, 15 df", rare=15),
    Regime("1,500, 95 % nevi", nevi=0.95, times=5),
    Regime("1,500, models alike", alike=0.98),
)


@dataclass(frozen=True)
class Lesions:
    """The lesions to draw from: class and number of images of each."""

    labels: np.ndarray
    sizes: np.ndarray

    @classmethod
    def read(cls, path: Path) -> "Lesions":
        """Return those of HAM10000's table.

        Raises:
            SystemExit: there is no such file.
        """
        if not path.exists():
            raise SystemExit(f"{path}: no such file; give HAM10000_metadata.csv with --metadata")
        grouped = pd.read_csv(path).groupby("lesion_id")["dx"].agg(["first", "size"])
        return cls(grouped["first"].map(CLASSES.index).to_numpy(), grouped["size"].to_numpy())

    def weights(self, regime: Regime) -> np.ndarray:
        """Return the probability of each lesion to be drawn."""
        weights = np.ones(len(self.labels))
        shares = {CLASSES.index("nv"): regime.nevi}
        if regime.rare is not None:
            shares = {CLASSES.index("df"): regime.rare / regime.lesions}
        for label, share in shares.items():
            if share is not None:
                mask = self.labels == label
                weights[mask] = share / mask.sum()
                weights[~mask] = (1 - share) / (~mask).sum()
        return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class DataSet:
    """Labels (N,), probabilities (2, N, 7) of two models, and lesions (N,)."""

    labels: np.ndarray
    probabilities: np.ndarray
    lesions: np.ndarray


def simulate(regime: Regime, lesions: Lesions, rng: np.random.Generator) -> DataSet:
    """Return one data set of a regime."""
    weights = lesions.weights(regime)
    if regime.rare is None:
        drawn = rng.choice(len(weights), regime.lesions, p=weights)
    else:
        rare = lesions.labels == CLASSES.index("df")
        parts = ((rare, regime.rare), (~rare, regime.lesions - regime.rare))
        drawn = np.concatenate(
            [
                rng.choice(len(weights), count, p=np.where(rows, weights, 0) / weights[rows].sum())
                for rows, count in parts
            ]
        )
    lesion = np.repeat(np.arange(regime.lesions), lesions.sizes[drawn])
    labels = lesions.labels[drawn][lesion]

    def noise() -> np.ndarray:
        independent, shared = rng.normal(size=(len(lesion), 7)), rng.normal(size=(regime.lesions, 7))[lesion]
        return np.asarray(np.sqrt(regime.rho) * shared + np.sqrt(1 - regime.rho) * independent)

    common = noise()
    scores = [_signal(labels) + np.sqrt(regime.alike) * common + np.sqrt(1 - regime.alike) * noise() for _ in range(2)]
    return DataSet(labels, softmax(scores, axis=2), lesion)


def truth(regime: Regime, lesions: Lesions, metrics: tuple[str, ...]) -> dict[str, float]:
    """Return the metrics of either model on the population, from a million images."""
    rng = np.random.default_rng(1)
    weights = lesions.weights(regime) * lesions.sizes
    labels = lesions.labels[rng.choice(len(weights), _TRUTH_IMAGES, p=weights / weights.sum())]
    probabilities = softmax(_signal(labels) + rng.normal(size=(len(labels), 7)), axis=1)
    return {metric: metric_value(metric, labels, probabilities) for metric in metrics}


def _signal(labels: np.ndarray) -> np.ndarray:
    return np.asarray(np.eye(7)[labels] * SIGNALS)
