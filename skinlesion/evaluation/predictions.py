"""Predictions: reading and checking prediction files, and parts of them by image, class, lesion and run.

One row per image and run: `image_id, lesion_id, fold, seed, repeat, dx, p_akiec … p_vasc`, sorted by (repeat, seed,
fold, image_id). What one seed predicts on the folds of one partition (repeat) is a layer.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from skinlesion.errors import UserError, name_some
from skinlesion.evaluation.prediction_rows import COLUMNS, checked_rows, read_rows
from skinlesion.numbers import count
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

#: In `Predictions.folds`: the layer has no prediction of the image.
ABSENT = -1

_MOST_LAYERS = 1000


@dataclass(frozen=True, repr=False)
class Predictions:
    """The predictions of one experiment: the same images, in the same order, for every layer."""

    image_ids: np.ndarray  # (N,) str
    lesions: np.ndarray  # (N,) str
    labels: np.ndarray  # (N,) int, positions in CLASSES
    folds: np.ndarray  # (L, N) int; layers of one repeat have the same
    seeds: tuple[int, ...]  # (L,)
    repeats: tuple[int, ...]  # (L,)
    probabilities: np.ndarray  # (L, N, 7), rows sum to one

    def __repr__(self) -> str:
        images, lesions = count(len(self.labels), "image"), count(len(np.unique(self.lesions)), "lesion")
        return f"Predictions({images} of {lesions}, {count(len(self.layers), 'training')})"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per image and training, with the columns of a predictions file."""
        rows = []
        for layer, (repeat, seed) in enumerate(self.layers):
            table = pd.DataFrame(self.probabilities[layer], columns=list(PROBABILITY_COLUMNS))
            columns = {"image_id": self.image_ids, "lesion_id": self.lesions, "dx": np.array(CLASSES)[self.labels]}
            rows.append(table.assign(**columns, fold=self.folds[layer], seed=seed, repeat=repeat)[list(COLUMNS)])
        whole = pd.concat(rows, ignore_index=True)
        return whole[whole["fold"] != ABSENT].reset_index(drop=True)

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
    table, warnings = read_rows(path, truth, remedy)
    return _stack(table, path), warnings


def predictions_of(
    table: pd.DataFrame, where: str, truth: Path | pd.DataFrame | None = None, *, partial: bool = False
) -> tuple[Predictions, list[str]]:
    """Return predictions from a table in memory, checked like those of a file, and warnings in words.

    Args:
        where: what stands for the file in messages.
        truth: a metadata table, or its file.
        partial: repeats may hold different images, as in `read_validation`.

    Raises:
        UserError: as `read_predictions`.
    """
    rows, warnings = checked_rows(table, Path(where), truth, "give predictions")
    return _stack(rows, Path(where), partial=partial), warnings


def read_validation(
    path: Path, truth: Path | None = None, remedy: str = "give a predictions file"
) -> tuple[Predictions, list[str]]:
    """Return a checked file of validation predictions, and warnings as `read_predictions` does.

    The validation parts of the folds are no whole partition, so repeats may hold different images. An image that a
    layer does not hold has the fold ABSENT and probabilities NaN there.

    Raises:
        UserError: as `read_predictions`, but that different images of different repeats are allowed.
    """
    table, warnings = read_rows(path, truth, remedy)
    return _stack(table, path, partial=True), warnings


def _stack(table: pd.DataFrame, path: Path, *, partial: bool = False) -> Predictions:
    """Return the rows of a file layer by layer, images in the order of their ids.

    Args:
        table: of `read_rows`.
        partial: repeats may hold different images.
    """
    table = table.sort_values(["repeat", "seed", "image_id"], kind="stable")
    n_layers = len(table[["repeat", "seed"]].drop_duplicates())
    if n_layers > _MOST_LAYERS:
        raise UserError(f"{path}: {n_layers:,} different seeds and repeats, more than {_MOST_LAYERS:,}; correct them")
    layers: dict[tuple[int, int], pd.DataFrame] = {}
    for _, rows in table.groupby(["repeat", "seed"], sort=True):
        layers[int(rows["repeat"].iloc[0]), int(rows["seed"].iloc[0])] = rows
    reference = {layer[0]: layer for layer in reversed(layers)}  # repeat → its layer with the lowest seed
    for layer, rows in layers.items():
        _agree(rows, layer, layers[reference[layer[0]]], reference[layer[0]], ("dx", "lesion_id", "fold"), path)
    whole = table.drop_duplicates("image_id").sort_values("image_id", kind="stable")
    start = next(iter(layers))
    for layer in reference.values():
        rows = layers[layer]
        expected = whole.set_index("image_id").loc[rows["image_id"]].reset_index() if partial else layers[start]
        _agree(rows, layer, expected, start, ("dx", "lesion_id"), path)
    ids = whole["image_id"].to_numpy(dtype=str)
    folds = np.full((len(layers), len(ids)), ABSENT)
    probabilities = np.full((len(layers), len(ids), len(CLASSES)), np.nan)
    for place, rows in enumerate(layers.values()):
        at = pd.Index(ids).get_indexer(rows["image_id"])
        folds[place, at] = rows["fold"].to_numpy(dtype=int)
        probabilities[place, at] = rows[list(PROBABILITY_COLUMNS)].to_numpy(dtype=float)
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
    if rows is first:
        return
    both = (
        f"seeds {first_layer[1]} and {layer[1]}"
        if layer[0] == first_layer[0]
        else f"repeats {first_layer[0]} and {layer[0]}"
    )
    differ = set(rows["image_id"]) ^ set(first["image_id"])
    if differ:
        raise UserError(f"{path}: {both} hold different images: {name_some(sorted(differ))}")
    for name in columns:
        mismatch = rows[name].to_numpy() != first[name].to_numpy()
        if mismatch.any():
            ids = name_some(first.loc[mismatch, "image_id"])
            raise UserError(f"{path}: {name} differs between {both} at {ids}; correct it")


def check_lesions(predictions: Predictions, where: str) -> None:
    """Check that the images of a lesion have one diagnosis.

    Args:
        where: the file or model, for the message.

    Raises:
        UserError: a lesion has several; the message names lesions.
    """
    pairs = pd.DataFrame({"lesion": predictions.lesions, "label": predictions.labels}).drop_duplicates()
    torn = pairs.loc[pairs["lesion"].duplicated(), "lesion"].unique()
    if len(torn):
        raise UserError(f"{where}: images of one lesion differ in dx at lesion_id {name_some(torn)}; correct dx or id")


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
    selected = predictions.probabilities[:, :, positions]
    total = selected.sum(axis=2, keepdims=True)
    even = np.full_like(selected, 1 / len(names))
    place = np.full(len(CLASSES), -1)
    place[positions] = np.arange(len(names))
    shares = np.divide(selected, total, out=even, where=total > 0)
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
