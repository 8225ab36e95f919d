"""Figures of activation maps against lesion masks: by class and by right and wrong answers, with intervals."""

import numpy as np
import pandas as pd

from skinlesion.analysis.estimates import estimate_sums
from skinlesion.evaluation.sums import ratio
from skinlesion.stats.lesion_bootstrap import LesionBootstrap
from skinlesion.vocabulary import CLASSES

METRICS = ("energy_inside", "pointing_hit", "mask_area")
COLUMNS = ["part", "group", "images", "metric", "value", "low", "high"]
_ANSWERS = {"right": True, "wrong": False}


def summarise_pointing(
    table: pd.DataFrame, *, replicates: int, seed: int, confidence: float
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return figures by class and by right and wrong answers, and those of all images, with lesion intervals.

    Args:
        table: one row per image with `lesion_id, dx, right` and METRICS, NaN for images without a mask.

    Returns:
        Rows of COLUMNS, and the figures of all images by name; both empty where no image has a mask.
    """
    masked = table[table["energy_inside"].notna()].reset_index(drop=True)
    if masked.empty:
        return pd.DataFrame(columns=COLUMNS), {}
    cells = {("all", "all"): np.ones(len(masked), dtype=bool)}
    cells |= {("dx", dx): (masked["dx"] == dx).to_numpy() for dx in CLASSES if (masked["dx"] == dx).any()}
    cells |= {("answer", word): (masked["right"] == right).to_numpy() for word, right in _ANSWERS.items()}
    figures = {
        (part, group, metric): [ratio(masked[metric].to_numpy(dtype=float) * rows, rows)]
        for (part, group), rows in cells.items()
        for metric in METRICS
    }
    bootstrap = LesionBootstrap(masked["lesion_id"].to_numpy(dtype=str), replicates=replicates, seed=seed)
    summary: list[tuple[object, ...]] = []
    overall: dict[str, float] = {}
    for (part, group, metric), estimate in estimate_sums(bootstrap, figures).items():
        low, high = estimate.interval(confidence)
        summary.append((part, group, int(cells[part, group].sum()), metric, estimate.value, low, high))
        if part == "all":
            overall |= {metric: estimate.value, f"{metric}_low": low, f"{metric}_high": high}
    return pd.DataFrame(summary, columns=COLUMNS), overall
