"""Test predictions and the validation predictions of the same runs, side by side."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Run:
    """One trained model among the predictions: its seed's layer, and its rows in both parts."""

    layer: int
    seed: int
    fold: int
    tested: np.ndarray
    validation: np.ndarray


def runs_of(tested: Predictions, validation: Predictions) -> Iterator[Run]:
    """Yield the runs among the tested predictions, each with its validation part.

    Raises:
        UserError: validation predictions lack a seed or a fold that was tested.
    """
    if tested.seeds != validation.seeds:
        raise UserError("validation predictions are of other seeds than the tested ones; run `skinlesion evaluate`")
    for layer, seed in enumerate(tested.seeds):
        for fold in sorted({int(one) for one in tested.folds}):
            rows = np.flatnonzero(validation.folds == fold)
            if not len(rows):
                raise UserError(f"validation predictions: none of fold {fold}; run `skinlesion evaluate`")
            yield Run(layer, seed, fold, np.flatnonzero(tested.folds == fold), rows)
