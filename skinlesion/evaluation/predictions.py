"""Prediction files: the project's own contract, and what others write.

One row an image and run: `image_id, lesion_id, fold, seed, dx, p_akiec … p_vasc`, sorted by (seed, fold, image_id).
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from skinlesion.errors import UserError, name_some
from skinlesion.files import read_csv
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

COLUMNS = ("image_id", "lesion_id", "fold", "seed", "dx", *PROBABILITY_COLUMNS)

#: Digits written: enough to give back a float32 exactly.
FLOAT_FORMAT = "%.9g"

#: ISIC challenge columns → ours; matched by name, never by position.
ISIC_COLUMNS = {name.upper(): column for name, column in zip(CLASSES, PROBABILITY_COLUMNS, strict=True)}

_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Predictions:
    """The predictions of one experiment: the same images, in the same order, for every seed."""

    image_ids: np.ndarray  # (N,) str
    lesions: np.ndarray  # (N,) str
    labels: np.ndarray  # (N,) int, positions in CLASSES
    folds: np.ndarray  # (N,) int
    seeds: tuple[int, ...]  # (S,)
    probabilities: np.ndarray  # (S, N, 7), rows sum to one


def restrict_classes(predictions: Predictions, names: tuple[str, ...]) -> Predictions:
    """Return predictions that answer one of `names` alone: other columns left out, rows brought back to one.

    Labels become positions in `names`. A row with nothing on any of them is spread evenly.

    Raises:
        ValueError: an image has a diagnosis outside `names`.
    """
    positions = [CLASSES.index(name) for name in names]
    if not np.isin(predictions.labels, positions).all():
        raise ValueError(f"an image has none of the diagnoses {', '.join(names)}")
    kept = predictions.probabilities[:, :, positions]
    total = kept.sum(axis=2, keepdims=True)
    even = np.full_like(kept, 1 / len(names))
    place = np.full(len(CLASSES), -1)
    place[positions] = np.arange(len(names))
    shares = np.divide(kept, total, out=even, where=total > 0)
    return replace(predictions, labels=place[predictions.labels], probabilities=shares)


def read_predictions(path: Path, truth: Path | None = None) -> tuple[Predictions, list[str]]:
    """Return a checked predictions file and warnings in words.

    Args:
        path: a CSV with our columns or the ISIC challenge's (`image, MEL, NV, …`).
        truth: a metadata table with `image_id, dx` and maybe `lesion_id`, for files that lack them.

    Raises:
        UserError: a column is missing, an id doubled within a run, a value is no probability, rows do not sum to
            one, seeds speak of different images, or an image has no diagnosis; the message names ids.
    """
    text = {"image_id": str, "image": str, "lesion_id": str, "dx": str}
    table = read_csv(path, (), "give a predictions file", dtype=text)
    if "image" in table.columns and "image_id" not in table.columns:
        table = table.rename(columns={"image": "image_id"} | ISIC_COLUMNS)
    required = ("image_id", *PROBABILITY_COLUMNS)
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column {', '.join(missing)} missing; expected {', '.join(COLUMNS)}")
    table, warnings = _complete(table, path, truth)
    return _check(table, path), warnings


def _complete(table: pd.DataFrame, path: Path, truth: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """Fill in dx, lesion_id, fold and seed where the file lacks them."""
    warnings = []
    for name in ("fold", "seed"):
        if name not in table.columns:
            table[name] = 0
    if truth is not None:
        known = read_csv(truth, ("image_id", "dx"), "give a metadata table", dtype=str).set_index("image_id")
        for name in ("dx", "lesion_id"):
            if name not in table.columns and name in known.columns:
                table[name] = table["image_id"].map(known[name])
    if "dx" not in table.columns:
        raise UserError(f"{path}: column dx missing; add it, or give the metadata table with --truth")
    if "lesion_id" not in table.columns:
        table["lesion_id"] = table["image_id"]
        warnings.append(
            f"{path}: no lesion_id, so every image counts as a lesion of its own and intervals are too narrow"
        )
    return table, warnings


def _check(table: pd.DataFrame, path: Path) -> Predictions:
    unknown = ~table["dx"].isin(CLASSES)
    if unknown.any():
        ids = name_some(table.loc[unknown, "image_id"].unique())
        raise UserError(f"{path}: dx missing or not one of {', '.join(CLASSES)} at {ids}")
    doubled = table.duplicated(["seed", "image_id"])
    if doubled.any():
        raise UserError(f"{path}: listed twice within a seed: {name_some(table.loc[doubled, 'image_id'].unique())}")
    values = table[list(PROBABILITY_COLUMNS)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    bad = ~((values >= 0) & (values <= 1)).all(axis=1)
    if bad.any():
        raise UserError(f"{path}: not probabilities in 0 to 1 at {name_some(table.loc[bad, 'image_id'].unique())}")
    odd = np.abs(values.sum(axis=1) - 1) > _SUM_TOLERANCE
    if odd.any():
        raise UserError(f"{path}: probabilities do not sum to one at {name_some(table.loc[odd, 'image_id'].unique())}")

    table = table.assign(row=np.arange(len(table))).sort_values(["seed", "image_id"], kind="stable")
    seeds = sorted(table["seed"].unique())
    runs = [table[table["seed"] == seed] for seed in seeds]
    first = runs[0]
    for seed, run in zip(seeds, runs, strict=True):
        differ = set(run["image_id"]) ^ set(first["image_id"])
        if differ:
            raise UserError(
                f"{path}: seeds {seeds[0]} and {seed} speak of different images: {name_some(sorted(differ))}"
            )
    return Predictions(
        image_ids=first["image_id"].to_numpy(dtype=str),
        lesions=first["lesion_id"].to_numpy(dtype=str),
        labels=pd.Categorical(first["dx"], categories=list(CLASSES)).codes.astype(np.int64),
        folds=first["fold"].to_numpy(dtype=int),
        seeds=tuple(int(seed) for seed in seeds),
        probabilities=np.stack([values[run["row"].to_numpy()] for run in runs]),
    )
