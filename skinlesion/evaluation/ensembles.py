"""Several models' probabilities in one: weights come from validation parts, never from what is tested."""

import numpy as np

from skinlesion.errors import UserError, choices

METHODS = ("mean", "weighted", "greedy")

_STEPS = 1000  # of expectation–maximisation; it stops where weights stand still
_STILL = 1e-9
_ROUNDS = 25  # of greedy selection


def member_weights(method: str, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return weights (M,), not negative and summing to one, for M models.

    - mean: equal.
    - weighted: the mixture with the least log-loss on validation, every class counting the same; it is convex, and
      expectation–maximisation finds it.
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
    raise UserError(f"ensembles: {method!r} is not a method; {choices(METHODS, method)}")


def combine(weights: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the weighted mean (N, 7) of probabilities (M, N, 7)."""
    mixed: np.ndarray = np.tensordot(weights, probabilities, axes=1)
    return mixed


def _class_weights(labels: np.ndarray) -> np.ndarray:
    """Return a weight (N,) for each image so that classes count the same; they sum to one."""
    share = 1 / np.bincount(labels)[labels]
    return share / share.sum()


def _mixture(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    own = np.clip(probabilities[:, np.arange(len(labels)), labels], 1e-12, 1)  # (M, N) of the truth
    image = _class_weights(labels)
    weights = np.full(len(own), 1 / len(own))
    for _ in range(_STEPS):
        parts = weights[:, None] * own
        updated = (parts / parts.sum(axis=0)) @ image
        if np.abs(updated - weights).max() < _STILL:
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
        for model, one in enumerate(probabilities):
            mixed = total + one
            right = float(image @ (mixed.argmax(axis=1) == labels))
            loss = float(image @ -np.log(np.clip(mixed[rows, labels] / (taken.sum() + 1), 1e-12, 1)))
            tried.append((round(right, 12), -loss, model))
        right, minus_loss, model = max(tried)
        taken[model] += 1
        total += probabilities[model]
        # Selection can run past its best: the weights of the best round stay.
        if best is None or (right, minus_loss) > best[0]:
            best = (right, minus_loss), taken / taken.sum()
    assert best is not None
    return best[1]
