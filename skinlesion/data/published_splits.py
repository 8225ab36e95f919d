"""Splits of HAM10000 that published projects used, drawn again from their function, seed and row order.

All are scikit-learn's `train_test_split` by image, stratified by diagnosis, with seed 42, on the rows in the order of
the archive's own table. What is drawn from HAM10000 itself is compared with the SHA-256 of the parts that the projects
used (of the sorted image ids, joined by line feeds).

p0, p1 and p2 hold out 20 % and stop training, choose the epoch and report on it: `published_80_20`.
`published_80_20_validated` reports on the same images and validates on an eighth of the others. p3 holds out 30 %, half
of it for validation and half for its report: `published_70_15_15`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.choices import PublishedProtocol, names
from skinlesion.data.splits import aligned
from skinlesion.errors import UserError, name_some
from skinlesion.reading import read_csv

NAMES = names(PublishedProtocol)
COLUMNS = ("image_id", "lesion_id", "dx")

#: The place of a role in a part column. Images of BOTH validate and are reported.
TRAIN, VALIDATION, TEST, BOTH = range(4)
_IN_ROLE = {"train": (TRAIN,), "validation": (VALIDATION, BOTH), "test": (TEST, BOTH)}

_SEED = 42


@dataclass(frozen=True)
class PublishedSplit:
    """A published split.

    Attributes:
        draw: labels (N,) in the order of the archive → the role of each image (N,).
        certificates: role → SHA-256 of the images that have it, of HAM10000.
    """

    draw: Callable[[np.ndarray], np.ndarray]
    certificates: dict[str, str]


def _divided(rows: np.ndarray, labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import train_test_split  # takes a second, and training does not need it

    train, held = train_test_split(rows, test_size=share, random_state=_SEED, stratify=labels[rows])
    return train, held


def _draw_80_20(labels: np.ndarray) -> np.ndarray:
    role = np.full(len(labels), TRAIN)
    role[_divided(np.arange(len(labels)), labels, 0.2)[1]] = BOTH
    return role


def _draw_80_20_validated(labels: np.ndarray) -> np.ndarray:
    role = np.full(len(labels), TRAIN)
    rest, reported = _divided(np.arange(len(labels)), labels, 0.2)
    role[reported] = TEST
    role[_divided(rest, labels, 0.125)[1]] = VALIDATION
    return role


def _draw_70_15_15(labels: np.ndarray) -> np.ndarray:
    role = np.full(len(labels), TRAIN)
    validation, reported = _divided(_divided(np.arange(len(labels)), labels, 0.3)[1], labels, 0.5)
    role[validation], role[reported] = VALIDATION, TEST
    return role


_REPORTED_80_20 = "782b2c67627847b255d509ea345432a525c83598d28ae97748562eda4cc0b83a"

PUBLISHED_SPLITS: dict[str, PublishedSplit] = {
    "published_80_20": PublishedSplit(_draw_80_20, {"test": _REPORTED_80_20}),
    "published_80_20_validated": PublishedSplit(_draw_80_20_validated, {"test": _REPORTED_80_20}),
    "published_70_15_15": PublishedSplit(
        _draw_70_15_15,
        {
            "validation": "738d070b678e2fb7d310dbc7bd1816920f815f5ff15b964622f15deafc13c5d6",
            "test": "07f8b3525f317c89d50d1af3ccc2c4608ae5d4ffa84665c5fa41c9409fb7fcdc",
        },
    ),
}


def draw_published(table: pd.DataFrame, order: pd.Series) -> pd.DataFrame:
    """Return `image_id, lesion_id, dx` and a column of roles for every published split that can be drawn.

    Args:
        table: one row per image with `image_id, lesion_id, dx`.
        order: the place of each image in the source's own table, by image id.
    """
    split = table[list(COLUMNS)].reset_index(drop=True)
    places = np.argsort(order.loc[split["image_id"]].to_numpy(), kind="stable")
    labels = split["dx"].to_numpy(dtype=str)[places]
    for name, published in PUBLISHED_SPLITS.items():
        role = np.empty(len(split), dtype=np.int64)
        try:
            role[places] = published.draw(labels)
        except ValueError:  # a class has too few images to be in every part
            continue
        split[name] = role
    return split


def in_role(roles: np.ndarray, role: str) -> np.ndarray:
    """Return whether each image (N,) is used for "train", "validation" or "test"."""
    chosen: np.ndarray = np.isin(roles, _IN_ROLE[role])
    return chosen


def images_sha256(image_ids: pd.Series) -> str:
    """Return the SHA-256 of sorted image ids joined by line feeds."""
    return hashlib.sha256("\n".join(sorted(image_ids)).encode()).hexdigest()


def published_certificate(split: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return how many images a published split trains, validates and reports on, how many leak, and whether it is the
    published one.

    Args:
        split: what `draw_published` returned.
    """
    roles = split[name].to_numpy()
    parts = {role: split[in_role(roles, role)] for role in _IN_ROLE}
    leaked = parts["test"]["lesion_id"].isin(set(parts["train"]["lesion_id"]))
    return {
        **{f"{role}_images": len(part) for role, part in parts.items()},
        "test_images_with_lesion_in_training": float(leaked.mean()),
        "test_images_that_validate": int((roles == BOTH).sum()),
        "is_the_published_one": is_published(split, name),
    }


def is_published(split: pd.DataFrame, name: str) -> bool:
    """Return whether the parts hold the images that the project's held, known by their SHA-256."""
    roles = split[name].to_numpy()
    return all(
        images_sha256(split["image_id"][in_role(roles, role)]) == expected
        for role, expected in PUBLISHED_SPLITS[name].certificates.items()
    )


def read_published_splits(path: Path, image_ids: pd.Series) -> pd.DataFrame:
    """Return what `draw_published` returned from the file it was written to, in the order of the prepared images.

    Raises:
        UserError: the file is damaged, or holds other images.
    """
    remedy = "run `skinlesion split`"
    split = read_csv(path, COLUMNS, remedy, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False)
    for name in set(NAMES) & set(split.columns):
        strange = ~split[name].isin(range(BOTH + 1))
        if strange.any():
            listed = name_some(split.loc[strange, "image_id"])
            raise UserError(f"{path}: {name} outside 0 to {BOTH} at {listed}; {remedy}")
    return aligned(split, path, image_ids)


def published_split(drawn: pd.DataFrame, name: str, path: Path, of_ham10000: bool) -> pd.DataFrame:
    """Return `image_id, lesion_id, dx, part` of one published split.

    Args:
        drawn: what `draw_published` returned.
        path: of it, for messages.
        of_ham10000: whether its parts must be the published ones.

    Raises:
        UserError: it could not be drawn, or its parts are not the published ones.
    """
    if name not in drawn.columns:
        raise UserError(
            f"{path}: no column {name}: some class has too few images to be in every part; use protocol lesion or image"
        )
    if of_ham10000 and not is_published(drawn, name):
        raise UserError(
            f"{path}: {name} is not the published split: HAM10000_metadata.csv has other rows than the archive's, or "
            "another order; fetch it again, then run `skinlesion prepare` and `skinlesion split`"
        )
    return drawn[list(COLUMNS)].assign(part=drawn[name].astype(np.int64))
