"""Atomic file writing, reading with clear errors, and checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinlesion.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 1 << 20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it becomes `path` when the block ends well, and vanishes when not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with \\n line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write sorted, indented JSON; a NaN or infinity raises ValueError instead of making a file nobody can read."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame, float_format: str | None = None) -> None:
    """Write a table as CSV with \\n line ends and no index, whole or not at all."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format=float_format)


def read_json(path: Path, remedy: str) -> Any:
    """Return the content of a JSON file.

    Raises:
        UserError: the file is missing or is not JSON; the message ends with `remedy`.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {remedy}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path}: not valid JSON; {remedy}") from None


def read_csv(path: Path, columns: tuple[str, ...], remedy: str, **options: Any) -> pd.DataFrame:
    """Return a CSV as a table.

    Raises:
        UserError: the file is missing, is no CSV, or lacks one of `columns`; the message ends with `remedy`.
    """
    import pandas as pd  # not above: `skinlesion code` writes files before every `dvc repro` and reads no table

    try:
        table = pd.read_csv(path, **options)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {remedy}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV ({str(error).splitlines()[0]}); {remedy}") from None
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column {', '.join(missing)} missing; {remedy}")
    return table


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(content: Any) -> str:
    """Return the SHA-256 of a JSON-able object, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
