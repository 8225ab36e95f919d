"""The figures of each class as a table, and their means weighted by the number of images."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from skinlesion.dashboard.words import class_title
from skinlesion.vocabulary import CLASSES

#: Metric per class in metrics.json → column.
COLUMNS = {
    "sensitivity": "Sensitivity", "specificity": "Specificity", "precision": "Precision", "f1": "F1", "auc": "AUC",
}  # fmt: skip


def class_table(metrics: Mapping[str, float], sizes: np.ndarray | None) -> pd.DataFrame:
    """Return one row per class: `class`, `Images` where they are known, and COLUMNS, NaN where undefined.

    Args:
        metrics: of metrics.json.
        sizes: images of each class (7,).
    """
    table = pd.DataFrame({"class": [class_title(dx) for dx in CLASSES]})
    if sizes is not None:
        table["Images"] = sizes
    for kind, column in COLUMNS.items():
        table[column] = [metrics.get(f"{kind}_{dx}", np.nan) for dx in CLASSES]
    return table


def weighted_means(table: pd.DataFrame) -> dict[str, float]:
    """Return the mean of each of COLUMNS weighted by `Images`; NaN where a class with images has no value."""
    there = table[table["Images"] > 0]
    return {
        column: float(np.average(there[column], weights=there["Images"])) if len(there) else np.nan
        for column in COLUMNS.values()
    }
