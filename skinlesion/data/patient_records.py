"""Patient records that come with photographs: age, sex and localization, from options or from a table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError, choices, name_some, shown
from skinlesion.numbers import count, number
from skinlesion.reading import as_numbers, read_csv
from skinlesion.vocabulary import LOCALIZATIONS, SEXES, UNKNOWN

COLUMNS = ["age", "sex", "localization"]

#: Words of a table that say that nothing is known, in small letters.
_MISSING = frozenset({UNKNOWN, "na", "n/a", "nan", "null", "none"})


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
        for name, value, valid in (("sex", self.sex, SEXES), ("localization", self.localization, LOCALIZATIONS)):
            if value is not None and value not in (*valid, UNKNOWN):
                raise UserError(f"--{name} {shown(value)[1:-1]}: not known; {choices(valid, value)}")
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
    """Return age, sex and localization by `image_id` (a file's name, with or without its ending), checked.

    A blank cell and the words of `_MISSING` say that nothing is known.

    Raises:
        UserError: no such file or no `image_id`, a blank id, an id twice, or a value out of the vocabulary.
    """
    remedy = "give a table of image_id, age, sex, localization"
    table = read_csv(path, ("image_id",), remedy, dtype=str, keep_default_na=False)
    table = table.apply(lambda column: column.fillna("").str.strip())
    ids = table["image_id"]
    if (ids == "").any():
        raise UserError(f"{path}: image_id blank in row {name_some(np.flatnonzero(ids == '') + 1)}; give every row one")
    if ids.duplicated().any():
        raise UserError(f"{path}: listed twice: {name_some(ids[ids.duplicated()].unique())}; give each id one row")
    for name in COLUMNS:
        texts = table[name] if name in table else pd.Series("", index=table.index)
        table[name] = texts.mask(texts.str.casefold().isin(_MISSING), "")
    age = as_numbers(table["age"])
    wrong = (table["age"] != "") & ~np.isfinite(age)
    if wrong.any():
        first = table[wrong].iloc[0]
        raise UserError(f"{path}: {shown(first['image_id'])}: age {shown(first['age'])}: not a number of years")
    records = pd.DataFrame({"age": age, **{name: table[name].replace("", UNKNOWN) for name in COLUMNS[1:]}})
    records.index = pd.Index(ids)
    for image_id, row in records.iterrows():
        try:
            PatientRecord(None if np.isnan(row["age"]) else row["age"], row["sex"], row["localization"]).checked()
        except UserError as error:
            raise UserError(f"{path}: {shown(image_id)}: {str(error).removeprefix('--')}") from None
    return records


def match_records(path: Path, records: pd.DataFrame, files: Sequence[Path]) -> tuple[pd.DataFrame, list[str]]:
    """Return the records of photographs, by their files' names without ending, and warnings in words.

    Args:
        path: of the table, for messages.
        records: of `read_records`; an id may also be a file's name with its ending.

    Raises:
        UserError: a row fits several photographs, or several rows fit one.
    """
    by_name = {file.name: file.stem for file in files}
    stems = Counter(file.stem for file in files)
    ids = [str(image_id) for image_id in records.index]
    matched = [image_id if image_id in stems else by_name.get(image_id, image_id) for image_id in ids]
    several = [image_id for image_id in matched if stems[image_id] > 1]
    if several:
        raise UserError(f"{path}: several photographs are named {name_some(several, 3)}; give them different names")
    doubled = [image_id for image_id, rows in Counter(matched).items() if rows > 1]
    if doubled:
        raise UserError(f"{path}: listed twice: {name_some(doubled, 3)}, with and without the file's ending")
    records = records.set_axis(pd.Index(matched, name=records.index.name))
    listed = set(matched)
    unlisted = [file for file in files if file.stem not in listed]
    if len(unlisted) == len(files):
        return records, [f"{path}: lists none of the photographs; image_id is a file's name without its ending"]
    if unlisted:
        warning = f"{path}: {number(len(unlisted), 0)} of {count(len(files), 'photograph')} not listed"
        return records, [f"{warning}: {name_some(unlisted, 3)}"]
    return records, []


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
