"""Subgroups of images by metadata: age band, sex, localization, data set, confirmation by histology."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from skinlesion.vocabulary import UNKNOWN

_BANDS = (
    (0, 30, "under 30"),
    (30, 45, "30 to 44"),
    (45, 60, "45 to 59"),
    (60, 75, "60 to 74"),
    (75, 200, "75 and over"),
)

#: Groupings derived from a column; every column of the table can be one as it is.
DERIVED = {"age_band": "age", "confirmed": "dx_type"}


@dataclass(frozen=True)
class Group:
    """Some of the images."""

    column: str
    name: str
    rows: np.ndarray  # (N,) bool


def make_groups(table: pd.DataFrame, columns: list[str]) -> tuple[list[Group], list[str]]:
    """Return the groups of every column, and the columns the table does not have.

    `age_band` is derived from age, `confirmed` separates histology from other sources of the diagnosis; missing values
    form groups of their own.

    Args:
        table: metadata of the images, in their order.
    """
    groups, absent = [], []
    for column in columns:
        if DERIVED.get(column, column) not in table:
            absent.append(column)
            continue
        values = _values(table, column)
        order = [name for _, _, name in _BANDS] if column == "age_band" else []
        names = [*(name for name in order if (values == name).any()), *sorted(set(values) - set(order))]
        groups += [Group(column, name, values == name) for name in names]
    return groups, absent


def joint_groups(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Return the number (N,) int64 of each image's combination of groups, counted from 0 in the order of their names.

    Groups are those of `make_groups`, a missing value one of its own. A column that the table does not have divides
    nothing.
    """
    present = [column for column in columns if DERIVED.get(column, column) in table]
    if not present:
        return np.zeros(len(table), dtype=np.int64)
    values = pd.DataFrame({column: _values(table, column) for column in present}, index=table.index)
    return values.groupby(present, sort=True).ngroup().to_numpy(dtype=np.int64)


def _values(table: pd.DataFrame, column: str) -> np.ndarray:
    if column == "age_band":
        ages = table["age"].to_numpy(dtype=float)
        bands = np.full(len(table), UNKNOWN, dtype=object)
        for low, high, name in _BANDS:
            bands[(ages >= low) & (ages < high)] = name
        return bands
    if column == "confirmed":
        return np.where(table["dx_type"].to_numpy(dtype=object) == "histo", "histology", "other")
    values = table[column]
    return values.where(values.notna(), UNKNOWN).astype(str).replace("", UNKNOWN).to_numpy(dtype=object)
