"""Table of shortcuts: how well variables unrelated to the lesion predict the diagnosis, with intervals."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.evaluation.registry import SCHEMA
from skinlesion.stats.bootstrap import bootstrap

_METRICS = ("balanced_accuracy", "macro_auc")
_CONFIDENCE = 0.95


def shortcut_table(
    facts: pd.DataFrame,
    predictors: Mapping[str, tuple[str, ...]],
    predict: Callable[[tuple[str, ...]], np.ndarray],
    labels: np.ndarray,
    lesions: np.ndarray,
    replicates: int,
) -> pd.DataFrame:
    """Return one row per group of facts: its columns, metrics with lesion-bootstrap intervals, or why it has none.

    Args:
        facts: N rows, one column per known fact.
        predictors: name of a group of facts → its columns.
        predict: columns → probabilities (N, 7) of the diagnosis, out of fold.
        labels: (N,) positions in CLASSES.
        lesions: (N,) lesion ids.
        replicates: of the bootstrap.
    """
    rows = []
    for name, columns in predictors.items():
        present = tuple(column for column in columns if column in facts.columns)
        if not present or facts[list(present)].nunique().max() < 2:
            reason = "not in this data set" if not present else "the same for every image"
            rows.append({"predictor": name, "columns": " ".join(columns), "note": reason})
            continue
        resampled = bootstrap(
            labels, [predict(present)[None]], lesions, list(_METRICS), SCHEMA, replicates=replicates, seed=0
        )
        row: dict[str, Any] = {"predictor": name, "columns": " ".join(present), "note": ""}
        for metric in _METRICS:
            interval = resampled.interval(0, metric, _CONFIDENCE)
            row |= {metric: interval.estimate, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        rows.append(row)
    figures = [f"{metric}{end}" for metric in _METRICS for end in ("", "_low", "_high")]
    return pd.DataFrame(rows).reindex(columns=["predictor", "columns", *figures, "note"])
