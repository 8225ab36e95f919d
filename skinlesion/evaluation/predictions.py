"""Predictions: reading and checking prediction files, and parts of them by image, class, lesion and run.

One row per image and run: `image_id, lesion_id, fold, seed, dx, p_akiec … p_vasc`, sorted by (seed, fold, image_id).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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

#: For pandas: "NA" and "nan" are names as good as any, an empty cell is none.
_BLANK_ALONE_IS_MISSING: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}


@dataclass(frozen=True)
class Predictions:
    """The predictions of one experiment: the same images, in the same order, for every seed."""

    image_ids: np.ndarray  # (N,) str
    lesions: np.ndarray  # (N,) str
    labels: np.ndarray  # (N,) int, positions in CLASSES
    folds: np.ndarray  # (N,) int
    seeds: tuple[int, ...]  # (S,)
    probabilities: np.ndarray  # (S, N, 7), rows sum to one


def read_predictions(
    path: Path, truth: Path | None = None, remedy: str = "give a predictions file"
) -> tuple[Predictions, list[str]]:
    """Return a checked predictions file and warnings in words.

    Args:
        path: a CSV with our columns or the ISIC challenge's (`image, MEL, NV, …`).
        truth: a metadata table with `image_id, dx` and maybe `lesion_id`, for files that lack them.
        remedy: what to do where the file is missing, for the message.

    An image without `lesion_id` counts as a lesion of its own; the warnings say how many there are.

    Raises:
        UserError: a column is missing, an id is blank or stands twice within a run, a value is not a probability, rows
            do not sum to one, seeds hold different images or say different things of one, an image has no diagnosis,
            or file and truth contradict each other; the message names ids.
    """
    text = {"image_id": str, "image": str, "lesion_id": str, "dx": str}
    table = read_csv(path, (), remedy, dtype=text, **_BLANK_ALONE_IS_MISSING)
    if "image" in table.columns and "image_id" not in table.columns:
        table = table.rename(columns={"image": "image_id"} | ISIC_COLUMNS)
    required = ("image_id", *PROBABILITY_COLUMNS)
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column {', '.join(missing)} missing; expected {', '.join(COLUMNS)}")
    _refuse_blank_ids(table, path)
    table, warnings = _complete(table, path, truth)
    return _check(table, path), warnings


def _complete(table: pd.DataFrame, path: Path, truth: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """Fill in dx, lesion_id, fold and seed where the file lacks them."""
    warnings = []
    for name in ("fold", "seed"):
        if name not in table.columns:
            table[name] = 0
    if truth is not None:
        known = _read_truth(truth)
        for name in ("dx", "lesion_id"):
            if name in known.columns:
                table[name] = _agreed(table, name, known[name], path, truth)
    if "dx" not in table.columns:
        raise UserError(f"{path}: column dx missing; add it, or give the metadata table with --truth")
    if "lesion_id" not in table.columns:
        table["lesion_id"] = table["image_id"]
        warnings.append(
            f"{path}: no lesion_id, so every image counts as a lesion of its own and intervals are too narrow"
        )
    blank = table["lesion_id"].isna()
    if blank.any():
        images = table.loc[blank, "image_id"]
        table["lesion_id"] = table["lesion_id"].where(~blank, "no lesion_id: " + table["image_id"])
        warnings.append(
            f"{path}: lesion_id blank at {images.nunique():,} of {table['image_id'].nunique():,} images "
            f"({name_some(images.unique(), 3)}), which count as lesions of their own"
        )
    return table, warnings


def _read_truth(path: Path) -> pd.DataFrame:
    """Return the metadata table, indexed by `image_id`.

    Raises:
        UserError: it cannot be read, or an id is blank or stands twice.
    """
    remedy = "give a metadata table"
    known = read_csv(path, ("image_id", "dx"), remedy, dtype=str, **_BLANK_ALONE_IS_MISSING)
    _refuse_blank_ids(known, path)
    doubled = known["image_id"].duplicated()
    if doubled.any():
        raise UserError(f"{path}: listed twice: {name_some(known.loc[doubled, 'image_id'].unique())}")
    return known.set_index("image_id")


def _agreed(table: pd.DataFrame, name: str, known: pd.Series, path: Path, truth: Path) -> pd.Series:
    """Return a column of the predictions, filled in from the truth.

    Raises:
        UserError: the two contradict each other.
    """
    looked_up = table["image_id"].map(known)
    if name not in table.columns:
        return looked_up
    contradict = table[name].notna() & looked_up.notna() & (table[name] != looked_up)
    if contradict.any():
        ids = name_some(table.loc[contradict, "image_id"].unique())
        raise UserError(f"{path} and {truth}: {name} differs at {ids}; correct one of them")
    return table[name].fillna(looked_up)


def _refuse_blank_ids(table: pd.DataFrame, path: Path) -> None:
    blank = table["image_id"].isna()
    if blank.any():
        lines = name_some(np.flatnonzero(blank) + 2)  # as an editor counts them, the header being line 1
        raise UserError(f"{path}: image_id blank in line {lines}; give every image its id")


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
            raise UserError(f"{path}: seeds {seeds[0]} and {seed} hold different images: {name_some(sorted(differ))}")
        for name in ("dx", "lesion_id", "fold"):
            other = run[name].to_numpy() != first[name].to_numpy()
            if other.any():
                ids = name_some(first.loc[other, "image_id"])
                raise UserError(f"{path}: {name} differs between seeds {seeds[0]} and {seed} at {ids}; correct it")
    return Predictions(
        image_ids=first["image_id"].to_numpy(dtype=str),
        lesions=first["lesion_id"].to_numpy(dtype=str),
        labels=pd.Categorical(first["dx"], categories=list(CLASSES)).codes.astype(np.int64),
        folds=first["fold"].to_numpy(dtype=int),
        seeds=tuple(int(seed) for seed in seeds),
        probabilities=np.stack([values[run["row"].to_numpy()] for run in runs]),
    )


def restrict_images(predictions: Predictions, image_ids: np.ndarray) -> Predictions:
    """Return the predictions of some images, in the order of their ids."""
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


def restrict_classes(predictions: Predictions, names: tuple[str, ...]) -> Predictions:
    """Return predictions over some classes alone: other columns left out, rows normalised to a sum of one.

    Labels become positions in `names`. A row without probability on any of them is spread evenly.

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


def by_lesion(predictions: Predictions) -> Predictions:
    """Return predictions with one row per lesion, named by it: probabilities are means over its images.

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


@dataclass(frozen=True)
class Run:
    """One trained model: the layer of its seed, and its rows in test and validation predictions."""

    layer: int
    seed: int
    fold: int
    tested: np.ndarray
    validation: np.ndarray


def runs_of(tested: Predictions, validation: Predictions) -> Iterator[Run]:
    """Yield the runs behind the test predictions, each with its rows in the validation predictions.

    Raises:
        UserError: validation predictions lack a seed or a fold that was tested.
    """
    if tested.seeds != validation.seeds:
        raise UserError("validation predictions are of other seeds than the tested ones; run `skinlesion evaluate`")
    for layer, seed in enumerate(tested.seeds):
        for fold in sorted({int(fold) for fold in tested.folds}):
            rows = np.flatnonzero(validation.folds == fold)
            if not len(rows):
                raise UserError(f"validation predictions: none of fold {fold}; run `skinlesion evaluate`")
            yield Run(layer, seed, fold, np.flatnonzero(tested.folds == fold), rows)
