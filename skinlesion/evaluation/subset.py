"""Predictions of some of the images."""

import numpy as np

from skinlesion.evaluation.predictions import Predictions


def restrict(predictions: Predictions, image_ids: np.ndarray) -> Predictions:
    """Return the predictions of some images, in the order of `image_ids`."""
    rows = np.flatnonzero(np.isin(predictions.image_ids, image_ids))
    rows = rows[np.argsort(predictions.image_ids[rows])]
    return Predictions(
        image_ids=predictions.image_ids[rows],
        lesions=predictions.lesions[rows],
        labels=predictions.labels[rows],
        folds=predictions.folds[rows],
        seeds=predictions.seeds,
        probabilities=predictions.probabilities[:, rows],
    )
