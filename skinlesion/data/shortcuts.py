"""How well facts that no classifier should need predict the diagnosis: what it could use instead of the lesion."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from skinlesion.data.splits import FOLDS, roles
from skinlesion.vocabulary import CLASSES

#: Name → columns of the table that `facts` makes. The first four are no property of the lesion.
PREDICTORS = {
    "label source (dx_type)": ("dx_type",),
    "image source (dataset)": ("dataset",),
    "image size and file length": ("width", "height", "bytes"),
    "mean colour": ("red", "green", "blue"),
    "age, sex and localization": ("age", "sex", "localization"),
}
_TREES = 60  # boosting rounds: enough for a handful of columns


def facts(metadata: pd.DataFrame, files: pd.DataFrame, images: np.ndarray) -> pd.DataFrame:
    """Return one row an image with the columns of PREDICTORS that the data set has; words as categories.

    Args:
        metadata: the prepared table (N rows).
        files: its files.csv, row by row.
        images: (N, S, S, 3) uint8.
    """
    table = metadata.merge(files, on="image_id", how="left", validate="one_to_one")
    colour = np.stack([images[row].mean(axis=(0, 1)) for row in range(len(images))])  # (N, 3)
    table[["red", "green", "blue"]] = colour
    known = [name for columns in PREDICTORS.values() for name in columns if name in table.columns]
    table = table[known]
    words = [name for name in known if not pd.api.types.is_numeric_dtype(table[name])]
    return table.astype(dict.fromkeys(words, "category"))


def out_of_fold(table: pd.DataFrame, columns: tuple[str, ...], labels: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return probabilities (N, 7) of a diagnosis from some columns, each image predicted by a model that saw neither
    it nor its lesion: gradient-boosted trees, classes weighted alike, fitted on the training parts of its fold.

    Args:
        labels: (N,) positions in CLASSES; part: (N,) 0 to 9, by lesion.
    """
    found = np.zeros((len(labels), len(CLASSES)))
    features = table[list(columns)]
    for fold in range(FOLDS):
        role = roles(part, fold)
        # Nothing is chosen, so validation parts train as well.
        training, test = np.flatnonzero(role != "test"), np.flatnonzero(role == "test")
        model = HistGradientBoostingClassifier(
            max_iter=_TREES, class_weight="balanced", early_stopping=False, random_state=0
        )
        model.fit(features.iloc[training], labels[training])
        found[np.ix_(test, model.classes_)] = model.predict_proba(features.iloc[test])
    return found
