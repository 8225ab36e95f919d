"""Text, JSON and tables that are written whole or not at all, and checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinlesion.atomic import replacing
from skinlesion.table_files import map_cells, without_formula

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 1 << 20


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with \\n line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write sorted, indented JSON; a NaN or infinity raises ValueError instead of making a file nobody can read."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame, float_format: str | None = None) -> None:
    """Write a table as CSV with \\n line ends and no index, whole or not at all.

    Text that a spreadsheet would run as a formula has an apostrophe before it, which `read_csv` takes away again.
    """
    with replacing(path) as temporary:
        map_cells(table, without_formula).to_csv(temporary, index=False, lineterminator="\n", float_format=float_format)


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
