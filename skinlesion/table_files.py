"""Table files as they lie on the disk: unpacked where they are compressed, refused where they are no text."""

import bz2
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from skinlesion.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

#: Bytes of a table, unpacked: 400,000 predictions have about 60 million.
LARGEST_PLAIN = 2 << 30
LARGEST_UNPACKED = 512 << 20

_BLOCK = 1 << 20

#: What a spreadsheet takes for a formula, behind the apostrophes that were put before it; a number is none.
_FORMULA = re.compile(r"'*(?:[=@\t\r]|[+-](?!\d*\.?\d+(?:e[+-]?\d+)?$))", re.IGNORECASE)
_BEFORE = "'"
_FIRST = ("=", "+", "-", "@", "\t", "\r", _BEFORE)

#: What files of these kinds begin with.
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_REFUSED = {
    b"PK\x03\x04": "a zip", b"PK\x05\x06": "a zip", b"\xfd7zXZ\x00": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd", b"7z\xbc\xaf": "a 7z archive",
}  # fmt: skip
_TAR = (257, b"ustar")  # where a tar says what it is


@contextmanager
def open_table(path: Path, remedy: str) -> Iterator[BinaryIO]:
    """Yield the text of a table file as bytes; gzip and bzip2 are unpacked, whatever the file is called.

    Raises:
        UserError: compressed in another way, damaged or cut off, larger than LARGEST_UNPACKED when unpacked, or text
            with null characters; the message ends with `remedy`.
    """
    with path.open("rb") as stream:
        head = stream.read(_TAR[0] + len(_TAR[1]))
        stream.seek(0)
        for begin, kind in _REFUSED.items():
            if head.startswith(begin):
                raise UserError(f"{path}: {kind}, not a CSV; unpack it, or {remedy}")
        if head[_TAR[0] :] == _TAR[1]:
            raise UserError(f"{path}: a tar archive, not a CSV; unpack it, or {remedy}")
        opened = _unpacked(stream, head, path, remedy) if head.startswith((_GZIP, _BZIP2)) else stream
        while block := opened.read(_BLOCK):
            if b"\0" in block:
                raise UserError(f"{path}: holds null characters, so it is not UTF-8 text; {remedy}")
        opened.seek(0)
        yield opened


def _unpacked(stream: BinaryIO, head: bytes, path: Path, remedy: str) -> BinaryIO:
    """Return the unpacked content, read to its end: there lies the checksum that tells a whole file from a part."""
    content = io.BytesIO()
    try:
        with gzip.open(stream) if head.startswith(_GZIP) else bz2.open(stream) as packed:
            while block := packed.read(_BLOCK):
                content.write(block)
                if content.tell() > LARGEST_UNPACKED:
                    raise UserError(f"{path}: more than {LARGEST_UNPACKED:,} bytes when unpacked; {remedy}")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UserError(f"{path}: damaged or cut off ({reason}); copy it again, or {remedy}") from None
    content.seek(0)
    return content


def without_formula(cell: str) -> str:
    """Return a cell as it is written: with an apostrophe before what a spreadsheet would run as a formula."""
    return _BEFORE + cell if _FORMULA.match(cell) else cell


def with_formula(cell: str) -> str:
    """Return the cell that `without_formula` made into `cell`."""
    return cell[1:] if cell.startswith(_BEFORE) and _FORMULA.match(cell) else cell


def map_cells(table: "pd.DataFrame", change: Callable[[str], str]) -> "pd.DataFrame":
    """Return a table with `change` made to the cells of text that one of the two functions above concerns."""
    changed = {}
    for place, name in enumerate(table.columns):
        column = table.iloc[:, place]
        if column.dtype.kind != "O":  # no text
            continue
        cells = column.astype(object)
        concerned = [isinstance(cell, str) and cell.startswith(_FIRST) for cell in cells]
        if any(concerned):
            changed[name] = [change(cell) if flag else cell for cell, flag in zip(cells, concerned, strict=True)]
    return table.assign(**changed) if changed else table
