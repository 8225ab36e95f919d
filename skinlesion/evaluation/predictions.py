"""Predictions: reading and checking prediction files, and parts of them by image, class, lesion and run.

One row per image and run: `image_id, lesion_id, fold, seed, repeat, dx, p_akiec … p_vasc`, sorted by (repeat, seed,
fold, image_id). What one seed predicts on the folds of one partition (repeat) is a layer.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError, name_some
from skinlesion.files import read_csv
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

COLUMNS = ("image_id", "lesion_id", "fold", "seed", "repeat", "dx", *PROBABILITY_COLUMNS)

#: The columns that say which run a row is of, 0 where a file lacks them.
RUN_COLUMNS = ("fold", "seed", "repeat")

#: In `Predictions.folds`: the layer has no prediction of the image.
ABSENT = -1

#: Digits written: enough to give back a float32 exactly.
FLOAT_FORMAT = "%.9g"

#: ISIC challenge columns → ours; matched by name, never by position.
ISIC_COLUMNS = {name.upper(): column for name, column in zip(CLASSES, PROBABILITY_COLUMNS, strict=True)}

_SUM_TOLERANCE = 1e-3

#: For pandas: "NA" and "nan" are names as good as any, an empty cell is none.
_BLANK_ALONE_IS_MISSING: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}


@dataclass(frozen=True)
class Predictions:
    """The predictions of one experiment: the same images, in the same order, for every layer."""

    image_ids: np.ndarray  # (N,) str
    lesions: np.ndarray  # (N,) str
    labels: np.ndarray  # (N,) int, positions in CLASSES
    folds: np.ndarray  # (L, N) int; layers of one repeat have the same
    seeds: tuple[int, ...]  # (L,)
    repeats: tuple[int, ...]  # (L,)
    probabilities: np.ndarray  # (L, N, 7), rows sum to one

    @cached_property
    def lesion_numbers(self) -> np.ndarray:
        """Return the place (N,) of each image's lesion among the sorted ids: quicker to group by than the ids."""
        return np.unique(self.lesions, return_inverse=True)[1]

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Return the repeat and the seed of each layer (L,)."""
        return list(zip(self.repeats, self.seeds, strict=True))

    @property
    def runs_tested(self) -> dict[str, list[int]]:
        """Return the `folds`, `seeds` and `repeats` that there are, for notes."""
        return {
            "folds": np.unique(self.folds[self.folds != ABSENT]).tolist(),
            "seeds": sorted(set(self.seeds)),
            "repeats": sorted(set(self.repeats)),
        }


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
        UserError: a column is missing, an id is blank or stands twice within a layer, a value is not a probability,
            rows do not sum to one, layers hold different images or say different things of one, an image has no
            diagnosis, or file and truth contradict each other; the message names ids.
    """
    table, warnings = _read(path, truth, remedy)
    return _stack(table, path, _checked_values(table, path)), warnings


def read_validation(
    path: Path, truth: Path | None = None, remedy: str = "give a predictions file"
) -> tuple[Predictions, list[str]]:
    """Return a checked file of validation predictions, and warnings as `read_predictions` does.

    The validation parts of the folds are no whole partition, so repeats may hold different images. An image that a
    layer does not hold has the fold ABSENT and probabilities NaN there.

    Raises:
        UserError: as `read_predictions`, but that different images of different repeats are allowed.
    """
    table, warnings = _read(path, truth, remedy)
    return _stack(table, path, _checked_values(table, path), partial=True), warnings


def _read(path: Path, truth: Path | None, remedy: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of a file with all of COLUMNS, ids and diagnoses checked, and warnings."""
    text = {"image_id": str, "image": str, "lesion_id": str, "dx": str}
    table = read_csv(path, (), remedy, dtype=text, **_BLANK_ALONE_IS_MISSING)
    if "image" in table.columns and "image_id" not in table.columns:
        table = table.rename(columns={"image": "image_id"} | ISIC_COLUMNS)
    required = ("image_id", *PROBABILITY_COLUMNS)
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column {', '.join(missing)} missing; expected {', '.join(COLUMNS)}")
    _refuse_blank_ids(table, path)
    return _complete(table, path, truth)


def _complete(table: pd.DataFrame, path: Path, truth: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """Fill in dx, lesion_id, fold, seed and repeat where the file lacks them."""
    warnings = []
    table = with_run_columns(table)
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


def with_run_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of predictions with RUN_COLUMNS, 0 where it has none: older files have no repeat."""
    return table.assign(**{name: 0 for name in RUN_COLUMNS if name not in table.columns})


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


def _checked_values(table: pd.DataFrame, path: Path) -> np.ndarray:
    """Return the probabilities (rows, 7) of a file."""
    unknown = ~table["dx"].isin(CLASSES)
    if unknown.any():
        ids = name_some(table.loc[unknown, "image_id"].unique())
        raise UserError(f"{path}: dx missing or not one of {', '.join(CLASSES)} at {ids}")
    for name in RUN_COLUMNS:
        whole = pd.to_numeric(table[name], errors="coerce") % 1 == 0
        if not whole.all():
            ids = name_some(table.loc[~whole, "image_id"].unique())
            raise UserError(f"{path}: {name} is not a whole number at {ids}; correct it")
    doubled = table.duplicated(["repeat", "seed", "image_id"])
    if doubled.any():
        raise UserError(f"{path}: listed twice within a seed: {name_some(table.loc[doubled, 'image_id'].unique())}")
    values = table[list(PROBABILITY_COLUMNS)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    bad = ~((values >= 0) & (values <= 1)).all(axis=1)
    if bad.any():
        raise UserError(f"{path}: not probabilities in 0 to 1 at {name_some(table.loc[bad, 'image_id'].unique())}")
    odd = np.abs(values.sum(axis=1) - 1) > _SUM_TOLERANCE
    if odd.any():
        raise UserError(f"{path}: probabilities do not sum to one at {name_some(table.loc[odd, 'image_id'].unique())}")
    return values


def _stack(table: pd.DataFrame, path: Path, values: np.ndarray, *, partial: bool = False) -> Predictions:
    """Return the rows of a file layer by layer, images in the order of their ids.

    Args:
        values: (rows, 7) probabilities.
        partial: repeats may hold different images.
    """
    table = table.assign(row=np.arange(len(table))).sort_values(["repeat", "seed", "image_id"], kind="stable")
    keys = sorted(set(zip(table["repeat"].astype(int).tolist(), table["seed"].astype(int).tolist(), strict=True)))
    layers = {key: table[(table["repeat"] == key[0]) & (table["seed"] == key[1])] for key in keys}
    first_of = {layer[0]: layer for layer in reversed(keys)}  # repeat → its layer with the lowest seed
    for layer, rows in layers.items():
        _agree(rows, layer, layers[first_of[layer[0]]], first_of[layer[0]], ("dx", "lesion_id", "fold"), path)
    whole = table.drop_duplicates("image_id").sort_values("image_id", kind="stable")
    start = keys[0]
    for layer in first_of.values():
        rows = layers[layer]
        other = whole.set_index("image_id").loc[rows["image_id"]].reset_index() if partial else layers[start]
        _agree(rows, layer, other, start, ("dx", "lesion_id"), path)
    ids = whole["image_id"].to_numpy(dtype=str)
    folds = np.full((len(layers), len(ids)), ABSENT)
    probabilities = np.full((len(layers), len(ids), len(CLASSES)), np.nan)
    for place, rows in enumerate(layers.values()):
        at = pd.Index(ids).get_indexer(rows["image_id"])
        folds[place, at], probabilities[place, at] = rows["fold"].to_numpy(dtype=int), values[rows["row"].to_numpy()]
    return Predictions(
        image_ids=ids,
        lesions=whole["lesion_id"].to_numpy(dtype=str),
        labels=pd.Categorical(whole["dx"], categories=list(CLASSES)).codes.astype(np.int64),
        folds=folds,
        seeds=tuple(seed for _, seed in layers),
        repeats=tuple(repeat for repeat, _ in layers),
        probabilities=probabilities,
    )


def _agree(
    rows: pd.DataFrame,
    layer: tuple[int, int],
    first: pd.DataFrame,
    first_layer: tuple[int, int],
    columns: tuple[str, ...],
    path: Path,
) -> None:
    """Check that the rows of two layers (repeat, seed), sorted by image, are of the same images and say the same."""
    both = (
        f"seeds {first_layer[1]} and {layer[1]}"
        if layer[0] == first_layer[0]
        else f"repeats {first_layer[0]} and {layer[0]}"
    )
    differ = set(rows["image_id"]) ^ set(first["image_id"])
    if differ:
        raise UserError(f"{path}: {both} hold different images: {name_some(sorted(differ))}")
    for name in columns:
        other = rows[name].to_numpy() != first[name].to_numpy()
        if other.any():
            ids = name_some(first.loc[other, "image_id"])
            raise UserError(f"{path}: {name} differs between {both} at {ids}; correct it")


def restrict_images(predictions: Predictions, image_ids: np.ndarray) -> Predictions:
    """Return the predictions of some images, in the order of their ids."""
    rows = np.flatnonzero(np.isin(predictions.image_ids, image_ids))
    rows = rows[np.argsort(predictions.image_ids[rows])]
    return replace(
        predictions,
        image_ids=predictions.image_ids[rows],
        lesions=predictions.lesions[rows],
        labels=predictions.labels[rows],
        folds=predictions.folds[:, rows],
        probabilities=predictions.probabilities[:, rows],
    )


def restrict_repeats(predictions: Predictions, repeats: Collection[int]) -> Predictions:
    """Return the layers of some repeats: to compare with a model that was run on fewer partitions."""
    layers = [layer for layer, repeat in enumerate(predictions.repeats) if repeat in repeats]
    return replace(
        predictions,
        folds=predictions.folds[layers],
        seeds=tuple(predictions.seeds[layer] for layer in layers),
        repeats=tuple(predictions.repeats[layer] for layer in layers),
        probabilities=predictions.probabilities[layers],
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

    Under the split by image a lesion can be tested in several folds of a partition; it carries the lowest.

    Raises:
        ValueError: images of a lesion differ in diagnosis.
    """
    ids, first, lesion = np.unique(predictions.lesions, return_index=True, return_inverse=True)
    if (predictions.labels != predictions.labels[first][lesion]).any():
        raise ValueError("images of one lesion have different diagnoses")
    counts = np.bincount(lesion)
    layers, _, classes = predictions.probabilities.shape
    summed = np.zeros((layers, len(ids), classes))
    folds = np.full((layers, len(ids)), np.iinfo(int).max)
    for layer in range(layers):
        np.add.at(summed[layer], lesion, predictions.probabilities[layer])
        np.minimum.at(folds[layer], lesion, predictions.folds[layer])
    return replace(
        predictions,
        image_ids=ids,
        lesions=ids,
        labels=predictions.labels[first],
        folds=folds,
        probabilities=summed / counts[:, None],
    )


@dataclass(frozen=True)
class Run:
    """One trained model: the layer of its repeat and seed, and its rows in test and validation predictions."""

    layer: int
    repeat: int
    seed: int
    fold: int
    tested: np.ndarray
    validation: np.ndarray


def runs_of(tested: Predictions, validation: Predictions) -> Iterator[Run]:
    """Yield the runs behind the test predictions, each with its rows in the validation predictions.

    Raises:
        UserError: validation predictions lack a repeat, a seed or a fold that was tested.
    """
    if tested.layers != validation.layers:
        what = "seeds" if set(tested.repeats) == set(validation.repeats) else "repeats"
        raise UserError(f"validation predictions are of other {what} than the tested ones; run `skinlesion evaluate`")
    for layer, (repeat, seed) in enumerate(tested.layers):
        for fold in np.unique(tested.folds[layer]).tolist():
            rows = np.flatnonzero(validation.folds[layer] == fold)
            if not len(rows):
                raise UserError(f"validation predictions: none of fold {fold}; run `skinlesion evaluate`")
            yield Run(layer, repeat, seed, fold, np.flatnonzero(tested.folds[layer] == fold), rows)
