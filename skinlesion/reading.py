"""Reading of files, in one line where one is no regular file, too large, damaged, or of another shape."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from skinlesion.atomic import system_reason
from skinlesion.errors import UserError, name_some, nearby, shorten, shown
from skinlesion.table_files import LARGEST_PLAIN, map_cells, open_table, with_formula

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_LARGEST_TEXT = 64 << 20  # bytes of a JSON, YAML or Markdown file; the largest that is written has some hundred kB
_LARGEST_INTEGER = 2**64
_LONGEST_NUMBER = 300  # characters: what is longer is too large for a float


def check_readable(path: Path, remedy: str, largest: int | None = None) -> None:
    """Check that a path is a regular file that can be read; a pipe or device would be waited for.

    Raises:
        UserError: it is none, or has more than `largest` bytes; the message ends with `remedy`.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {nearby(path)}{remedy}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UserError(f"{path}: cannot be read ({system_reason(error)}); {remedy}") from None
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path}: a folder, not a file; {remedy}")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: a pipe, socket or device, not a file; {remedy}")
    if largest is not None and status.st_size > largest:
        raise UserError(f"{path}: {status.st_size:,} bytes, more than the {largest:,} that are read; {remedy}")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: cannot be read (Permission denied); {remedy}")


def read_text(path: Path, remedy: str) -> str:
    """Return the content of a UTF-8 text file of at most 64 MiB.

    Raises:
        UserError: it is missing, no regular file, too large or not UTF-8; the message ends with `remedy`.
    """
    check_readable(path, remedy, _LARGEST_TEXT)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; {remedy}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({system_reason(error)}); {remedy}") from None


def read_json(path: Path, remedy: str, shape: Any = dict[str, Any]) -> Any:
    """Return the content of a JSON file.

    Args:
        shape: the type of the content, as pydantic checks it without conversions: a `TypedDict`, a model, or
            `dict[str, float]`. Values that fit are returned as they stand in the file, a model's as the model. Entries
            that a `TypedDict` does not name are kept.

    Raises:
        UserError: the file cannot be read, is not JSON, holds a number that is not finite or beyond 64 bits, or is of
            another shape; the message ends with `remedy`.
    """
    content = parse_json(read_text(path, remedy), str(path), remedy)
    return fitting(content, shape, str(path), f"not as skinlesion writes it: {remedy}")


def parse_json(text: str, name: str, remedy: str) -> Any:
    """Return the content of JSON text; `name` says in messages where it comes from.

    Raises:
        UserError: it is not JSON, or holds a number that is not finite or beyond 64 bits, or broken characters.
    """
    try:
        content = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_small)
        if "\\ud" in text.lower():  # half of a pair of code units can be neither printed nor written
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise UserError(f"{name}: not valid JSON; {remedy}") from None
    return content


def fitting(content: Any, shape: Any, name: str, remedy: str) -> Any:
    """Return content that was read from a file, once its shape is checked; see `read_json`.

    Raises:
        UserError: it is of another shape; the message names the first entry that is.
    """
    from pydantic import BaseModel, TypeAdapter, ValidationError  # not above: `skinlesion code` reads nothing

    try:
        fitted = TypeAdapter(shape).validate_python(content, strict=True)
    except (ValidationError, RecursionError) as error:
        problems = error.errors() if isinstance(error, ValidationError) else [{"loc": (), "msg": "nested too deep"}]
        place = shorten(".".join(str(part) for part in problems[0]["loc"]))
        raise UserError(f"{name}: {place + ': ' if place else ''}{problems[0]['msg']}; {remedy}") from None
    return fitted if isinstance(fitted, BaseModel) else content


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _small(text: str) -> int:
    value = int(text)
    if abs(value) > _LARGEST_INTEGER:
        raise ValueError("an integer of more than 64 bits")
    return value


def read_csv(
    path: Path, columns: tuple[str, ...], remedy: str, *, numbers: tuple[str, ...] = (), **options: Any
) -> pd.DataFrame:
    """Return a CSV, plain or compressed by gzip or bzip2, as a table.

    Args:
        numbers: columns that hold finite numbers or empty cells, where the table has them.
        options: those of `pandas.read_csv`.

    Raises:
        UserError: the file cannot be read, is damaged or too large, is no CSV, has a column twice or more cells in a
            row than columns, lacks one of `columns`, or has anything else in `numbers`; the message ends with
            `remedy`.
    """
    import pandas as pd  # not above: `skinlesion code` writes files before every `dvc repro` and reads no table

    check_readable(path, remedy, LARGEST_PLAIN)
    try:
        with open_table(path, remedy) as stream:
            header = pd.read_csv(stream, header=None, nrows=1, dtype=str, keep_default_na=False)
            stream.seek(0)
            table: pd.DataFrame = pd.read_csv(stream, low_memory=False, **options)
    except (ValueError, OSError, OverflowError, RecursionError) as error:  # pandas' own are ValueErrors
        raise UserError(f"{path}: not a readable CSV ({shown_problem(error)}); {remedy}") from None
    names = header.iloc[0].str.removeprefix("\ufeff")
    twice = names[names.duplicated() & (names != "")]
    if len(twice):
        raise UserError(f"{path}: column {name_some(twice.unique(), 3)} twice; {remedy}")
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first cells for an index then
        raise UserError(f"{path}: rows have more cells than there are columns; {remedy}")
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column {', '.join(missing)} missing; {remedy}")
    check_numbers(path, table[[name for name in numbers if name in table.columns]], remedy)
    return map_cells(table, with_formula)


def check_numbers(path: Path, table: pd.DataFrame, remedy: str, *, finite: bool = True) -> None:
    """Check that columns of a CSV hold numbers or empty cells.

    Args:
        finite: refuse infinities too.

    Raises:
        UserError: one does not; the message names the line and ends with `remedy`.
    """
    import numpy as np
    import pandas as pd

    for name, column in table.items():
        if table.empty:
            continue
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            wrong = np.isinf(column.to_numpy(dtype=float)) & finite
        else:
            text = pd.to_numeric(column.astype(str), errors="coerce").isna() & column.notna()
            wrong = text.to_numpy(dtype=bool, copy=True)
            wrong[0] |= not wrong.any()  # true and false
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            cell = shown(column.iloc[place])
            raise UserError(f"{path}: line {place + 2}: {shown(name)} is {cell}, not a number; {remedy}")


def check_words(path: Path, table: pd.DataFrame, columns: tuple[str, ...], remedy: str) -> None:
    """Check that those of `columns` that a CSV has hold words, no cell of them empty.

    Raises:
        UserError: one does not; the message names the line and ends with `remedy`.
    """
    for name in sorted(set(columns).intersection(table.columns)):
        for place, value in enumerate(table[name]):
            if not isinstance(value, str):
                raise UserError(f"{path}: line {place + 2}: {name} is {shown(value)}, not a word; {remedy}")


def as_numbers(column: pd.Series) -> pd.Series:
    """Return a column as floats, NaN where it holds no number, or an integer too large for one."""
    import pandas as pd

    try:
        return pd.to_numeric(column, errors="coerce").astype(float)
    except OverflowError:
        text = column.astype(str)
        return pd.to_numeric(text.where(text.str.len() < _LONGEST_NUMBER), errors="coerce").astype(float)


def check_choices(path: Path, table: pd.DataFrame, column: str, valid: tuple[str, ...], remedy: str) -> None:
    """Check that a column, where a CSV has it, holds only `valid` words.

    Raises:
        UserError: it does not; the message names the word and ends with `remedy`.
    """
    for value in table.get(column, ()):
        if value not in valid:
            raise UserError(f"{path}: {column} is {shown(value)}, not one of {', '.join(valid)}; {remedy}")


def open_array(path: Path, remedy: str) -> np.ndarray:
    """Return a .npy file as a read-only memory map; nothing is ever unpickled.

    Raises:
        UserError: the file cannot be read, is no .npy array, or is shorter than its header says; the message ends
            with `remedy`.
    """
    import numpy as np

    check_readable(path, remedy)
    try:
        array: np.ndarray = np.lib.format.open_memmap(path, mode="r")
    # NumPy evaluates the header as Python text: what it raises on damage depends on where the damage lies.
    except (
        ValueError,
        OSError,
        EOFError,
        OverflowError,
        TypeError,
        KeyError,
        SyntaxError,
        RecursionError,
        TokenError,
    ) as error:
        raise UserError(f"{path}: not a whole .npy array ({shown_problem(error)}); {remedy}") from None
    return array


def shown_problem(error: Exception) -> str:
    """Return what a library says of a file, in one short line."""
    lines = str(error).strip().splitlines()
    return shown(lines[0] if lines else type(error).__name__).strip("'\"")
