"""Predictions from arrays: their rows, as a predictions file has them."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS


def rows_of_arrays(
    probabilities: np.ndarray,
    labels: npt.ArrayLike | None,
    lesions: npt.ArrayLike | None = None,
    image_ids: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Return arrays as rows of a predictions file, one layer after the other; values are not checked yet.

    Args:
        probabilities: (N, 7), or (L, N, 7) of L trainings.
        labels: (N,) diagnoses, as names or positions among the classes.
        lesions: (N,) ids; without them the rows have no lesion_id.
        image_ids: (N,) ids; by default the images' numbers.

    Raises:
        UserError: a shape is wrong, or labels are missing or outside the classes.
    """
    layers = probabilities[None] if probabilities.ndim == 2 else probabilities
    if layers.ndim != 3 or layers.shape[2] != len(CLASSES) or not layers.size:
        raise UserError(
            f"predictions: an array of shape {probabilities.shape}; give (images, {len(CLASSES)}) or "
            f"(trainings, images, {len(CLASSES)})"
        )
    images = layers.shape[1]
    if labels is None:
        raise UserError("labels: give the diagnoses of the images, one for each")
    columns = {"dx": _names(np.asarray(labels)), "image_id": np.arange(images) if image_ids is None else image_ids}
    if lesions is not None:
        columns["lesion_id"] = np.asarray(lesions)
    wrong = [name for name, column in columns.items() if np.shape(column) != (images,)]
    if wrong:
        raise UserError(f"{', '.join(wrong)}: give {images:,} values, one for each image")
    texts = {name: np.asarray(column).astype(str) for name, column in columns.items()}
    return pd.concat(
        [pd.DataFrame(layer, columns=list(PROBABILITY_COLUMNS)).assign(**texts, seed=seed)
         for seed, layer in enumerate(layers)],
        ignore_index=True,
    )  # fmt: skip


def _names(labels: np.ndarray) -> np.ndarray:
    """Return diagnoses as names.

    Raises:
        UserError: a position outside the classes.
    """
    if not np.issubdtype(labels.dtype, np.integer):
        return labels
    if labels.size and not (labels.min() >= 0 and labels.max() < len(CLASSES)):
        raise UserError(f"labels: positions are 0 to {len(CLASSES) - 1}, in the order {', '.join(CLASSES)}")
    return np.array(CLASSES)[labels]
