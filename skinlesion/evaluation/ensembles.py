"""Ensembles: a weighted mean of several models' probabilities, with weights from validation parts alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skinlesion.choices import EnsembleMethod, names
from skinlesion.errors import UserError, choices
from skinlesion.evaluation.prediction_rows import COLUMNS
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

_STEPS = 1000  # of expectation–maximisation; it stops when weights no longer change
_CONVERGED = 1e-9
_ROUNDS = 25  # of greedy selection


def member_weights(method: str, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return non-negative weights (M,) that sum to one, for M models.

    - mean: equal.
    - weighted: the mixture with the least log-loss on validation, every class weighing the same: a convex problem,
      solved by expectation–maximisation.
    - greedy: models added one at a time, with replacement, each the one that most raises balanced accuracy on
      validation (ties: the lower log-loss); weights are how often each was taken (Caruana et al., ICML 2004).

    Args:
        labels: (N,) validation labels, positions in CLASSES.
        probabilities: (M, N, 7) validation probabilities.

    Raises:
        UserError: an unknown method.
    """
    if method == "mean":
        return np.full(len(probabilities), 1 / len(probabilities))
    if method == "weighted":
        return _mixture(labels, probabilities)
    if method == "greedy":
        return _greedy(labels, probabilities)
    raise UserError(f"ensembles: {method!r} is not a method; {choices(names(EnsembleMethod), method)}")


def combine(weights: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the weighted mean (N, 7) of probabilities (M, N, 7)."""
    mixed: np.ndarray = np.tensordot(weights, probabilities, axes=1)
    return mixed


@dataclass(frozen=True)
class MemberPredictions:
    """Predictions of the same runs by the members of an ensemble."""

    frame: pd.DataFrame  # (N rows) the columns of a predictions file, of any member
    probabilities: np.ndarray  # (M, N, 7)

    @classmethod
    def stack(cls, tables: Sequence[pd.DataFrame]) -> "MemberPredictions":
        """Return one prediction table per member, of the same rows in the same order, as one."""
        layers = [table[list(PROBABILITY_COLUMNS)].to_numpy() for table in tables]
        return cls(tables[0], np.stack(layers))

    @property
    def labels(self) -> np.ndarray:
        """Return the positions of the true classes (N,)."""
        return pd.Categorical(self.frame["dx"], categories=list(CLASSES)).codes.astype(np.int64)

    def runs(self) -> dict[tuple[int, int, int], np.ndarray]:
        """Return the rows of each (repeat, seed, fold)."""
        keys = self.frame[["repeat", "seed", "fold"]].to_numpy(dtype=int)
        wanted = sorted(set(map(tuple, keys.tolist())))
        return {run: np.flatnonzero((keys == run).all(axis=1)) for run in wanted}

    def table(self, probabilities: np.ndarray) -> pd.DataFrame:
        """Return the predictions file of the same rows with probabilities (N, 7)."""
        table = self.frame.copy()
        table[list(PROBABILITY_COLUMNS)] = probabilities
        return table[list(COLUMNS)]


def combine_runs(
    method: str, test: MemberPredictions, validation: MemberPredictions
) -> tuple[pd.DataFrame, pd.DataFrame, dict[tuple[int, int, int], np.ndarray]]:
    """Return the ensemble's test and validation predictions, and the members' weights of each (repeat, seed, fold).

    The weights of a run come from that run's validation part alone.
    """
    mixed_test, mixed_validation = np.empty_like(test.probabilities[0]), np.empty_like(validation.probabilities[0])
    weights = {}
    labels, tested_rows = validation.labels, test.runs()
    for run, rows in validation.runs().items():
        weights[run] = member_weights(method, labels[rows], validation.probabilities[:, rows])
        tested = tested_rows[run]
        mixed_test[tested] = combine(weights[run], test.probabilities[:, tested])
        mixed_validation[rows] = combine(weights[run], validation.probabilities[:, rows])
    return test.table(mixed_test), validation.table(mixed_validation), weights


def _class_weights(labels: np.ndarray) -> np.ndarray:
    """Return weights of images (N,) that sum to one, and to the same for every class."""
    share = 1 / np.bincount(labels)[labels]
    return share / share.sum()


def _mixture(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    likelihood = np.clip(probabilities[:, np.arange(len(labels)), labels], 1e-12, 1)  # (M, N) of the truth
    image = _class_weights(labels)
    weights = np.full(len(likelihood), 1 / len(likelihood))
    for _ in range(_STEPS):
        parts = weights[:, None] * likelihood
        updated = (parts / parts.sum(axis=0)) @ image
        if np.abs(updated - weights).max() < _CONVERGED:
            break
        weights = updated
    return updated / updated.sum()


def _greedy(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    image = _class_weights(labels)
    rows = np.arange(len(labels))
    taken = np.zeros(len(probabilities))
    total = np.zeros(probabilities.shape[1:])
    best: tuple[tuple[float, float], np.ndarray] | None = None
    for _ in range(_ROUNDS):
        tried = []
        for model, layer in enumerate(probabilities):
            mixed = total + layer
            balanced = float(image @ (mixed.argmax(axis=1) == labels))
            loss = float(image @ -np.log(np.clip(mixed[rows, labels] / (taken.sum() + 1), 1e-12, 1)))
            tried.append((round(balanced, 12), -loss, model))
        balanced, minus_loss, model = max(tried)
        taken[model] += 1
        total += probabilities[model]
        # Selection can pass its optimum: the weights of the best round are kept.
        if best is None or (balanced, minus_loss) > best[0]:
            best = (balanced, minus_loss), taken / taken.sum()
    assert best is not None
    return best[1]
