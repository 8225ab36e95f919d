"""The rows of prediction files: reading them, and all checks of single rows, images and lesions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError, name_some
from skinlesion.reading import as_numbers, read_csv
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

COLUMNS = ("image_id", "lesion_id", "fold", "seed", "repeat", "dx", *PROBABILITY_COLUMNS)

#: The columns that say which run a row is of, 0 where a file lacks them.
RUN_COLUMNS = ("fold", "seed", "repeat")

#: Digits written: enough to give back a float32 exactly.
FLOAT_FORMAT = "%.9g"

#: ISIC challenge columns → ours; matched by name, never by position.
ISIC_COLUMNS = {name.upper(): column for name, column in zip(CLASSES, PROBABILITY_COLUMNS, strict=True)}

_SUM_TOLERANCE = 1e-3
_LARGEST_NUMBER = 2**31 - 1  # of a fold, seed or repeat

#: For pandas: "NA" and "nan" are names as good as any, an empty cell is none.
_BLANK_ALONE_IS_MISSING: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}

_TEXT = {"image_id": str, "image": str, "lesion_id": str, "dx": str}
_CONTROL = r"[\x00-\x1f\x7f-\x9f]"


def read_rows(path: Path, truth: Path | None, remedy: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of a predictions file with all of COLUMNS, and warnings in words.

    Args:
        path, truth, remedy: of `read_predictions`.

    Returns:
        ids and diagnoses as text without blanks around them, fold, seed and repeat as integers, probabilities as
        numbers; and the warnings of `read_predictions`.

    Raises:
        UserError: as `read_predictions`, but for what layers say of each other.
    """
    return checked_rows(read_csv(path, (), remedy, dtype=_TEXT, **_BLANK_ALONE_IS_MISSING), path, truth, remedy)


def checked_rows(
    table: pd.DataFrame, path: Path, truth: Path | pd.DataFrame | None, remedy: str
) -> tuple[pd.DataFrame, list[str]]:
    """Return rows of predictions as `read_rows` does, from a table in memory.

    Args:
        path: the file, or what stands for it in messages.
        truth: the metadata table, or its file.

    Raises:
        UserError: as `read_rows`.
    """
    if "image" in table.columns and "image_id" not in table.columns:
        table = table.rename(columns={"image": "image_id"} | ISIC_COLUMNS)
    required = ("image_id", *PROBABILITY_COLUMNS)
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column {', '.join(missing)} missing; expected {', '.join(COLUMNS)}")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise UserError(f"{path}: column {twice[0]} twice, by its own name and by ISIC's; leave one out")
    if table.empty:
        raise UserError(f"{path}: holds no predictions; {remedy}")
    table = _with_clean_text(table, path)
    table, warnings = _complete(table, path, truth)
    _check_diagnoses(table, path)
    table = _with_whole_numbers(table, path)
    doubled = table.duplicated(["repeat", "seed", "image_id"])
    if doubled.any():
        raise UserError(f"{path}: listed twice within a seed: {name_some(table.loc[doubled, 'image_id'].unique())}")
    return _with_probabilities(table, path), warnings


def with_run_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of predictions with RUN_COLUMNS, 0 where it has none: older files have no repeat."""
    return table.assign(**{name: 0 for name in RUN_COLUMNS if name not in table.columns})


def _with_clean_text(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return a table whose ids and diagnoses have no blanks around them, missing where there is nothing else.

    Raises:
        UserError: an image_id is blank, or text has a character that a terminal would act upon.
    """
    changed = {}
    for name in ("image_id", "lesion_id", "dx"):
        if name in table.columns:
            text = table[name].astype("str")
            odd = text.str.contains(_CONTROL, regex=True).eq(True)
            if odd.any():
                raise UserError(f"{path}: {name} has a control character in line {_lines(odd)}; correct it")
            text = text.str.strip()
            changed[name] = text.mask(text.eq(""), np.nan)
    table = table.assign(**changed)
    blank = table["image_id"].isna()
    if blank.any():
        raise UserError(f"{path}: image_id blank in line {_lines(blank)}; give every image its id")
    return table


def _lines(marked: pd.Series) -> str:
    """Return the lines of marked rows as an editor counts them, the header being line 1."""
    return name_some(np.flatnonzero(marked) + 2, 5)


def _complete(table: pd.DataFrame, path: Path, truth: Path | pd.DataFrame | None) -> tuple[pd.DataFrame, list[str]]:
    """Fill in dx, lesion_id, fold, seed and repeat where the file lacks them."""
    warnings = []
    table = with_run_columns(table)
    if truth is not None:
        metadata, named = _read_truth(truth)
        for name in ("dx", "lesion_id"):
            if name in metadata.columns:
                table[name] = _agreed(table, name, metadata[name], path, named)
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


def _read_truth(truth: Path | pd.DataFrame) -> tuple[pd.DataFrame, Path]:
    """Return the metadata table, indexed by `image_id`, and what it is called in messages.

    Raises:
        UserError: it cannot be read, or an id is blank or stands twice.
    """
    remedy = "give a metadata table"
    if isinstance(truth, pd.DataFrame):
        path, metadata = Path("truth"), truth
        missing = [name for name in ("image_id", "dx") if name not in metadata.columns]
        if missing:
            raise UserError(f"truth: column {', '.join(missing)} missing; {remedy}")
    else:
        path, metadata = truth, read_csv(truth, ("image_id", "dx"), remedy, dtype=str, **_BLANK_ALONE_IS_MISSING)
    metadata = _with_clean_text(metadata, path)
    doubled = metadata["image_id"].duplicated()
    if doubled.any():
        raise UserError(f"{path}: listed twice: {name_some(metadata.loc[doubled, 'image_id'].unique())}")
    return metadata.set_index("image_id"), path


def _agreed(table: pd.DataFrame, name: str, true_values: pd.Series, path: Path, truth: Path) -> pd.Series:
    """Return a column of the predictions, filled in from the truth.

    Raises:
        UserError: the two contradict each other.
    """
    looked_up = table["image_id"].map(true_values)
    if name not in table.columns:
        return looked_up
    contradict = table[name].notna() & looked_up.notna() & (table[name] != looked_up)
    if contradict.any():
        ids = name_some(table.loc[contradict, "image_id"].unique())
        raise UserError(f"{path} and {truth}: {name} differs at {ids}; correct one of them")
    return table[name].fillna(looked_up)


def _check_diagnoses(table: pd.DataFrame, path: Path) -> None:
    unknown = ~table["dx"].isin(CLASSES)
    if unknown.any():
        ids = name_some(table.loc[unknown, "image_id"].unique())
        raise UserError(f"{path}: dx missing or not one of {', '.join(CLASSES)} at {ids}")


def _with_whole_numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    changed = {}
    for name in RUN_COLUMNS:
        numbers = as_numbers(table[name])
        whole = (numbers % 1 == 0) & numbers.between(0, _LARGEST_NUMBER)
        if not whole.all():
            ids = name_some(table.loc[~whole, "image_id"].unique())
            raise UserError(f"{path}: {name} is not a whole number at {ids}; correct it (0 to {_LARGEST_NUMBER:,})")
        changed[name] = numbers.astype(np.int64)
    return table.assign(**changed)


def _with_probabilities(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    values = table[list(PROBABILITY_COLUMNS)].apply(as_numbers).to_numpy(dtype=float)
    bad = ~np.all((values >= 0) & (values <= 1), axis=1)
    if bad.any():
        raise UserError(f"{path}: not probabilities in 0 to 1 at {name_some(table.loc[bad, 'image_id'].unique())}")
    odd = np.abs(values.sum(axis=1) - 1) > _SUM_TOLERANCE
    if odd.any():
        raise UserError(f"{path}: probabilities do not sum to one at {name_some(table.loc[odd, 'image_id'].unique())}")
    return table.assign(**dict(zip(PROBABILITY_COLUMNS, values.T, strict=True)))
