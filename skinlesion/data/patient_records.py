"""Patient records that come with photographs: age, sex and localization, from options or from a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError, choices
from skinlesion.files import read_csv
from skinlesion.vocabulary import LOCALIZATIONS, SEXES, UNKNOWN

COLUMNS = ["age", "sex", "localization"]


@dataclass(frozen=True)
class PatientRecord:
    """What is known of one patient; None where nothing is."""

    age: float | None = None
    sex: str | None = None
    localization: str | None = None

    def checked(self) -> "PatientRecord":
        """Return itself.

        Raises:
            UserError: an age outside 0 to 120, or a sex or site that is not in the vocabulary.
        """
        if self.age is not None and not 0 <= self.age <= 120:
            raise UserError(f"--age {self.age:g}: outside 0 to 120 years")
        for name, value, known in (("sex", self.sex, SEXES), ("localization", self.localization, LOCALIZATIONS)):
            if value is not None and value not in (*known, UNKNOWN):
                raise UserError(f"--{name} {value}: not known; {choices(known, value)}")
        return self

    @property
    def empty(self) -> bool:
        """Whether nothing is known; "unknown" says no more than nothing does."""
        return self.age is None and self.sex in (None, UNKNOWN) and self.localization in (None, UNKNOWN)

    def row(self) -> dict[str, object]:
        """Return the record as a row of a metadata table, missing where nothing is known."""
        return {
            "age": np.nan if self.age is None else self.age,
            "sex": self.sex or UNKNOWN,
            "localization": self.localization or UNKNOWN,
        }


def read_records(path: Path) -> pd.DataFrame:
    """Return age, sex and localization by `image_id` (a file's name without ending), checked.

    Raises:
        UserError: no such file or no `image_id`, an id twice, or a value out of the vocabulary.
    """
    table = read_csv(path, ("image_id",), "give a table of image_id, age, sex, localization", dtype={"image_id": str})
    if table["image_id"].duplicated().any():
        raise UserError(f"{path}: {table.loc[table['image_id'].duplicated(), 'image_id'].iloc[0]} is listed twice")
    records = pd.DataFrame({
        "age": pd.to_numeric(table["age"], errors="coerce") if "age" in table else np.nan,
        "sex": table["sex"].fillna(UNKNOWN) if "sex" in table else UNKNOWN,
        "localization": table["localization"].fillna(UNKNOWN) if "localization" in table else UNKNOWN,
    })  # fmt: skip
    records.index = pd.Index(table["image_id"])
    for image_id, row in records.iterrows():
        try:
            PatientRecord(None if np.isnan(row["age"]) else row["age"], row["sex"], row["localization"]).checked()
        except UserError as error:
            raise UserError(f"{path}: {image_id}: {str(error).removeprefix('--')}") from None
    return records


def any_known(records: pd.DataFrame) -> np.ndarray:
    """Return whether age, sex or localization is known (N,) in each row of a table."""
    known: np.ndarray = records["age"].notna().to_numpy()
    for name in ("sex", "localization"):
        known = known | ~records[name].fillna(UNKNOWN).eq(UNKNOWN).to_numpy()
    return known


def records_of(files: Sequence[Path], records: pd.DataFrame | None, default: PatientRecord) -> pd.DataFrame:
    """Return one row of age, sex and localization per file: from `records` by its name, else the default."""
    rows: list[dict[Any, Any]] = []
    for path in files:
        if records is not None and path.stem in records.index:
            rows.append(records.loc[path.stem, COLUMNS].to_dict())
        else:
            rows.append(default.row())
    return pd.DataFrame(rows)
