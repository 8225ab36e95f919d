"""Participants: how many images were read, left out and divided, and a table of them by test fold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.splits import roles
from skinlesion.folds import FOLDS
from skinlesion.vocabulary import CLASS_NAMES, CLASSES, LOCALIZATIONS, SEXES, UNKNOWN

#: Columns of the table of participants → the order of their values; None: as they sort.
_FIELDS: dict[str, Sequence[str] | None] = {
    "sex": (*SEXES, UNKNOWN), "localization": (*LOCALIZATIONS, UNKNOWN), "dx": CLASSES, "dx_type": None,
    "dataset": None,
}  # fmt: skip
ROLES = ("train", "validation", "test")


@dataclass(frozen=True)
class Flow:
    """From what was read to what is divided.

    Attributes:
        read: images of the source.
        excluded: reason → images; an image that is left out for two reasons counts under both.
        images: those that are left, of so many `lesions`.
    """

    read: int
    excluded: dict[str, int]
    images: int
    lesions: int


def participant_flow(prepared: Mapping[str, Any]) -> Flow:
    """Return the flow of images that prepared.json tells of."""
    rejected: dict[str, list[str]] = prepared["rejected"]
    excluded = {f"diagnosis without a class here: {word}": count for word, count in prepared.get("dropped", {}).items()}
    out = len({image_id for ids in rejected.values() for image_id in ids}) + sum(excluded.values())
    excluded |= {problem: len(ids) for problem, ids in rejected.items()}
    return Flow(prepared["images"] + out, excluded, prepared["images"], prepared["lesions"])


def images_by_role(split: pd.DataFrame) -> pd.DataFrame:
    """Return `fold`, and per role (train, validation, test) its images and lesions.

    Args:
        split: one partition, with lesion_id and part.
    """
    rows = []
    for fold in range(FOLDS):
        role = roles(split["part"].to_numpy(), fold)
        row: dict[str, int] = {"fold": fold}
        for name in ROLES:
            lesions = split.loc[role == name, "lesion_id"]
            row |= {f"{name}_images": len(lesions), f"{name}_lesions": lesions.nunique()}
        rows.append(row)
    return pd.DataFrame(rows)


def participants_table(table: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
    """Return one row per characteristic: `group`, `value`, and per column `all`, `fold0`, … a figure and its share.

    Images are counted, each under the fold that tests it; `…_share` is of the images of the column. The rows `age` are
    median, quartiles (25%, 75%) and the number without an age, which alone has a share.

    Args:
        table: prepared metadata, one row per image.
        split: one partition, its rows those of `table`.
    """
    part = split["part"].to_numpy()
    columns = {"all": np.ones(len(table), dtype=bool)}
    columns |= {f"fold{fold}": roles(part, fold) == "test" for fold in range(FOLDS)}
    rows = []
    for group, value, figures in _characteristics(table, list(columns.values())):
        row: dict[str, Any] = {"group": group, "value": value}
        for name, (figure, whole) in zip(columns, figures, strict=True):
            row |= {name: figure, f"{name}_share": figure / whole if whole else np.nan}
        rows.append(row)
    return pd.DataFrame(rows)


def _characteristics(
    table: pd.DataFrame, chosen: Sequence[np.ndarray]
) -> Iterator[tuple[str, str, Sequence[tuple[float, float]]]]:
    """Yield group, value and per column a figure with what its share is of, 0 where it has none."""
    yield "images", "", [(float(rows.sum()), 0) for rows in chosen]
    yield "lesions", "", [(table.loc[rows, "lesion_id"].nunique(), 0) for rows in chosen]
    ages = [table.loc[rows, "age"].astype(float) for rows in chosen]
    for name, quantile in (("median", 0.5), ("25%", 0.25), ("75%", 0.75)):
        yield "age", name, [(float(column.quantile(quantile)), 0) for column in ages]
    yield "age", UNKNOWN, [(int(column.isna().sum()), len(column)) for column in ages]
    for field, order in _FIELDS.items():
        if field not in table.columns:
            continue
        values = table[field].where(table[field].notna(), UNKNOWN).astype(str).replace("", UNKNOWN)
        listed = [*(order or ()), *sorted(set(values) - set(order or ()))]
        for value in listed:
            counts = [(int((values[rows] == value).sum()), int(rows.sum())) for rows in chosen]
            if counts[0][0]:
                yield field, f"{value}, {CLASS_NAMES[value]}" if field == "dx" else value, counts
