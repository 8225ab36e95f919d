"""Shortcuts: how well the diagnosis is predicted by facts unrelated to the lesion's appearance, such as file size."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from skinlesion.data.frames import SquareImages
from skinlesion.data.splits import FOLDS, roles
from skinlesion.vocabulary import CLASSES

#: Name → columns of the table that `facts` returns. The first four are not properties of the lesion.
PREDICTORS = {
    "label source (dx_type)": ("dx_type",),
    "image source (dataset)": ("dataset",),
    "image size and file length": ("width", "height", "bytes"),
    "mean colour": ("red", "green", "blue"),
    "age, sex and localization": ("age", "sex", "localization"),
}
_TREES = 60  # boosting rounds: enough for a few columns


def facts(metadata: pd.DataFrame, files: pd.DataFrame, images: np.ndarray | SquareImages) -> pd.DataFrame:
    """Return one row per image with the columns of PREDICTORS that the data set has; text columns as categories.

    Args:
        metadata: the prepared table (N rows).
        files: its files.csv, in the same order.
        images: (N, S, S, 3) uint8.
    """
    table = metadata.merge(files, on="image_id", how="left", validate="one_to_one")
    colour = np.stack([images[row].mean(axis=(0, 1)) for row in range(len(images))])  # (N, 3)
    table[["red", "green", "blue"]] = colour
    names = [name for columns in PREDICTORS.values() for name in columns if name in table.columns]
    table = table[names]
    categorical = [name for name in names if not pd.api.types.is_numeric_dtype(table[name])]
    return table.astype(dict.fromkeys(categorical, "category"))


def out_of_fold(table: pd.DataFrame, columns: tuple[str, ...], labels: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return out-of-fold probabilities (N, 7) of the diagnosis, predicted from `columns` by gradient-boosted trees with
    balanced class weights; no image is predicted by a model fitted on its lesion.

    Args:
        labels: (N,) positions in CLASSES; part: (N,) 0 to 9, by lesion.
    """
    probabilities = np.zeros((len(labels), len(CLASSES)))
    features = table[list(columns)]
    for fold in range(FOLDS):
        role = roles(part, fold)
        # Nothing is tuned, so the validation part is used for fitting as well.
        training, test = np.flatnonzero(role != "test"), np.flatnonzero(role == "test")
        model = HistGradientBoostingClassifier(
            max_iter=_TREES, class_weight="balanced", early_stopping=False, random_state=0
        )
        model.fit(features.iloc[training], labels[training])
        probabilities[np.ix_(test, model.classes_)] = model.predict_proba(features.iloc[test])
    return probabilities
