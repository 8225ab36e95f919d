"""The metadata table of a data set: its columns, the checks of raw records, and the reader of the prepared table."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError, name_some
from skinlesion.reading import as_numbers, read_csv
from skinlesion.vocabulary import CLASSES, LOCALIZATIONS, SEXES, UNKNOWN

METADATA_NAME = "metadata.csv"

#: Columns that every source delivers; AUDIT_COLUMNS, which some deliver, are kept and are never inputs of a model.
COLUMNS = ("image_id", "lesion_id", "dx", "age", "sex", "localization")
AUDIT_COLUMNS = ("dx_type", "dataset", "patient_id")

_CONTROL = r"[\x00-\x1f\x7f-\x9f]"  # would end a line of a table, or be acted upon by a terminal

#: Highest age accepted, in years.
OLDEST = 120.0


@dataclass(frozen=True)
class Finding:
    """A problem of the data and the images that have it."""

    problem: str
    image_ids: tuple[str, ...]

    def line(self) -> str:
        return f"{self.problem} ({len(self.image_ids):,}): {name_some(self.image_ids)}"


def check_records(table: pd.DataFrame, has_image: Callable[[str], bool]) -> list[Finding]:
    """Return the problems of the raw records: ids, diagnoses, lesions, ages, sexes, sites, missing images.

    Args:
        table: one row per image with COLUMNS, values as the source has them.
        has_image: whether the source has the file of an image_id.
    """
    # Unknown diagnoses are a problem of their own: only known ones count towards two diagnoses of a lesion.
    age = as_numbers(table["age"])
    has_age = table["age"].notna() & (table["age"].astype(str).str.strip() != "")
    known_diagnoses = table[table["dx"].isin(CLASSES)].groupby("lesion_id")["dx"].transform("nunique")
    two_diagnoses = known_diagnoses.reindex(table.index, fill_value=1) > 1
    problems: dict[str, pd.Series] = {
        "no image_id": table["image_id"].isna() | (table["image_id"] == ""),
        "no lesion_id": table["lesion_id"].isna() | (table["lesion_id"] == ""),
        "image_id or lesion_id with a control character": table[["image_id", "lesion_id"]]
        .astype(str)
        .apply(lambda ids: ids.str.contains(_CONTROL, regex=True))
        .any(axis=1),
        "image_id listed twice": table["image_id"].duplicated(keep=False),
        f"unknown diagnosis dx, not one of {', '.join(CLASSES)}": ~table["dx"].isin(CLASSES),
        "lesion with two diagnoses": two_diagnoses,
        f"age outside 0 to {OLDEST:.0f} or not a number": has_age & ~age.between(0, OLDEST),
        f"unknown sex, not one of {', '.join(SEXES)}, {UNKNOWN}": ~table["sex"].isin([*SEXES, UNKNOWN]),
        "unknown localization": ~table["localization"].isin([*LOCALIZATIONS, UNKNOWN]),
        "no image file": ~table["image_id"].map(has_image).astype(bool),
    }
    findings = []
    for problem, mask in problems.items():
        if mask.any():
            ids = dict.fromkeys(str(image_id) for image_id in table.loc[mask, "image_id"])
            findings.append(Finding(problem, tuple(ids)))
    return findings


def usable(table: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
    """Return the rows without any finding, `age` as a number, sorted by image_id."""
    bad = {image_id for finding in findings for image_id in finding.image_ids}
    columns = [*COLUMNS, *(name for name in AUDIT_COLUMNS if name in table.columns)]
    # A missing id stays missing as text, and is no id of a finding.
    good = table["image_id"].notna() & ~table["image_id"].astype(str).isin(bad)
    rows = table.loc[good, columns].copy()
    rows["age"] = pd.to_numeric(rows["age"])
    return rows.sort_values("image_id", ignore_index=True)


def read_metadata(path: Path) -> pd.DataFrame:
    """Return the prepared table: `age` float with NaN where missing, the other COLUMNS strings.

    Raises:
        UserError: the file is missing or lacks a column, an id is blank or stands twice, or an age is none.
    """
    remedy = "run `skinlesion prepare` first"
    text = dict.fromkeys((*COLUMNS, "patient_id"), str)
    options: dict[str, Any] = {"dtype": text, "keep_default_na": False, "na_values": {"age": [""]}}
    table = read_csv(path, COLUMNS, remedy, **options)
    ids = table["image_id"]
    if (ids == "").any():
        raise UserError(f"{path}: image_id blank in row {name_some(np.flatnonzero(ids == '') + 1, 5)}; {remedy}")
    if ids.duplicated().any():
        raise UserError(f"{path}: listed twice: {name_some(ids[ids.duplicated()].unique(), 5)}; {remedy}")
    age = as_numbers(table["age"])
    wrong = table["age"].notna() & ~age.between(0, OLDEST)
    if wrong.any():
        raise UserError(f"{path}: age is not 0 to {OLDEST:.0f} years at {name_some(ids[wrong], 5)}; {remedy}")
    return table.assign(age=age.astype(float))
