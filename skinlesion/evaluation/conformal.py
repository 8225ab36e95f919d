"""Conformal prediction sets: the diagnoses that cannot be ruled out, with guaranteed coverage of the true one.

The guarantee needs exchangeable calibration and test cases. Images of one lesion are repeated measurements, so every
lesion gives one score, that of one of its images drawn at random (`one_per_lesion`); coverage is then guaranteed for a
random image of a random lesion.

References:
    [1] Sadinle M, Lei J, Wasserman L. J Am Stat Assoc 114, 223–234 (2019): LAC.
    [2] Romano Y, Sesia M, Candès E. Classification with valid and adaptive coverage. NeurIPS 2020: APS.
    [3] Angelopoulos A et al. Uncertainty sets for image classifiers. ICLR 2021: RAPS.
    [4] Vovk V. Conditional validity of inductive conformal predictors. ACML 2012: by class ("Mondrian").
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from typing_extensions import TypedDict

from skinlesion.errors import UserError, choices
from skinlesion.reading import fitting
from skinlesion.vocabulary import CLASSES

METHODS = ("lac", "aps", "raps")


def nonconformity(method: str, probabilities: np.ndarray, *, penalty: float = 0.0, free_ranks: int = 0) -> np.ndarray:
    """Return the nonconformity score of each class (N, C), higher for a class that fits the image less.

    - lac: 1 − p [1].
    - aps: the probability of all classes at least as likely, itself included, without randomisation [2].
    - raps: aps + `penalty` · max(0, rank − `free_ranks`), rank 1 the likeliest [3].

    Raises:
        UserError: an unknown method.
    """
    if method == "lac":
        return 1 - probabilities
    if method not in METHODS:
        raise UserError(f"conformal: {method!r} is not a method; {choices(METHODS, method)}")
    order = np.argsort(-probabilities, axis=1, kind="stable")
    mass = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    ranks = np.arange(1, probabilities.shape[1] + 1)
    if method == "raps":
        mass = mass + penalty * np.maximum(0, ranks - free_ranks)
    scores = np.empty_like(mass)
    np.put_along_axis(scores, order, mass, axis=1)
    return scores


def conformal_quantile(scores: np.ndarray, coverage: float) -> float:
    """Return the ⌈(n + 1) · coverage⌉-th smallest of scores (n,); infinite where there are too few."""
    place = int(np.ceil((len(scores) + 1) * coverage - 1e-9))
    return float("inf") if place > len(scores) else float(np.sort(scores)[place - 1])


def one_per_lesion(lesions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one row of each lesion, drawn at random, in the order of the lesions' ids.

    Args:
        lesions: (N,) the lesion of each image.
    """
    order = rng.permutation(len(lesions))
    first = np.unique(lesions[order], return_index=True)[1]
    rows: np.ndarray = order[first]
    return rows


class _State(TypedDict):
    method: Literal["lac", "aps", "raps"]
    thresholds: Annotated[list[float | None], pydantic.Field(min_length=len(CLASSES), max_length=len(CLASSES))]
    penalty: Annotated[float, pydantic.Field(ge=0)]
    free_ranks: Annotated[int, pydantic.Field(ge=0)]
    pooled: list[int]


@dataclass(frozen=True)
class ConformalSets:
    """Fitted thresholds: a class is in the set where its score is at most its threshold."""

    method: str
    thresholds: np.ndarray  # (C,)
    penalty: float
    free_ranks: int
    #: Positions of classes with too few lesions for a threshold of their own; they take the marginal one.
    pooled: tuple[int, ...] = ()

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """Return (N, C) bool: the classes in the set of each image, for probabilities (N, C). A set can be empty."""
        scores = nonconformity(self.method, probabilities, penalty=self.penalty, free_ranks=self.free_ranks)
        return scores <= self.thresholds

    def state(self) -> dict[str, Any]:
        """Return the thresholds, JSON-able (null: infinite)."""
        limits = [float(limit) if np.isfinite(limit) else None for limit in self.thresholds]
        return {
            "method": self.method, "thresholds": limits, "penalty": self.penalty, "free_ranks": self.free_ranks,
            "pooled": list(self.pooled),
        }  # fmt: skip

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "ConformalSets":
        """Return sets as `state()` left them.

        Raises:
            UserError: they are none.
        """
        fitting(state, _State, "conformal", "not as `assess` writes it")
        limits = np.array([np.inf if limit is None else limit for limit in state["thresholds"]])
        return cls(state["method"], limits, state["penalty"], state["free_ranks"], tuple(state["pooled"]))


def fit_conformal(
    method: str,
    labels: np.ndarray,
    probabilities: np.ndarray,
    coverage: float,
    *,
    by_class: bool = False,
    smallest_class: int = 0,
    penalty: float = 0.0,
    free_ranks: int = 0,
) -> ConformalSets:
    """Return sets that cover the truth with probability `coverage`, over all cases or within each class.

    Args:
        labels: (n,) positions of the true classes, one calibration case per lesion.
        probabilities: (n, C).
        by_class: a threshold per class [4], so that rare classes are covered as often as common ones.
        smallest_class: with `by_class`, classes with fewer cases take the threshold of all: theirs would be infinite
            or rest on a handful, and their coverage is not guaranteed.

    Raises:
        UserError: an unknown method.
    """
    scores = nonconformity(method, probabilities, penalty=penalty, free_ranks=free_ranks)
    true_scores = scores[np.arange(len(labels)), labels]
    classes = probabilities.shape[1]
    thresholds = np.full(classes, conformal_quantile(true_scores, coverage))
    pooled = []
    if by_class:
        for place in range(classes):
            class_scores = true_scores[labels == place]
            if len(class_scores) < smallest_class:
                pooled.append(place)
            else:
                thresholds[place] = conformal_quantile(class_scores, coverage)
    return ConformalSets(method, thresholds, penalty, free_ranks, tuple(pooled))
