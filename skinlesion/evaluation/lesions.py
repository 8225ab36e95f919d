"""From images to lesions: what a model says of a lesion is the mean over its images."""

import numpy as np

from skinlesion.evaluation.predictions import Predictions


def by_lesion(predictions: Predictions) -> Predictions:
    """Return predictions with one row a lesion, named by it: probabilities are means over its images.

    Under the split by image a lesion can be tested in several folds; it carries the lowest.

    Raises:
        ValueError: images of a lesion differ in diagnosis.
    """
    ids, first, lesion = np.unique(predictions.lesions, return_index=True, return_inverse=True)
    if (predictions.labels != predictions.labels[first][lesion]).any():
        raise ValueError("images of one lesion have different diagnoses")
    counts = np.bincount(lesion)
    seeds, _, classes = predictions.probabilities.shape
    summed = np.zeros((seeds, len(ids), classes))
    for layer, probabilities in zip(summed, predictions.probabilities, strict=True):
        np.add.at(layer, lesion, probabilities)
    folds = np.full(len(ids), np.iinfo(int).max)
    np.minimum.at(folds, lesion, predictions.folds)
    return Predictions(ids, ids, predictions.labels[first], folds, predictions.seeds, summed / counts[:, None])
