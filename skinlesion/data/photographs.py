"""Photographs outside a data set: finding them and reading them as `prepare` does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skinlesion.data.decode import decode
from skinlesion.data.sources.images import MOST_BYTES, SUFFIXES
from skinlesion.errors import UserError
from skinlesion.params import PrepareParams


def find_photographs(paths: Sequence[Path]) -> list[Path]:
    """Return files as they are, and the images below folders, sorted.

    Raises:
        UserError: a path that does not exist, or no image at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        elif path.exists():
            files.append(path)
        else:
            raise UserError(f"{path}: no such file or folder")
    if not files:
        raise UserError(f"{', '.join(map(str, paths))}: no image below ({', '.join(sorted(SUFFIXES))})")
    return files


def read_photograph(path: Path, settings: PrepareParams) -> np.ndarray:
    """Return the frame (h, w, 3) uint8 of a photograph as `prepare` would store it.

    Raises:
        UserError: too large, or not an image that can be read; the message says why.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: larger than {MOST_BYTES / 1e6:.0f} MB")
        return decode(path.read_bytes(), settings).pixels
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable image ({' '.join(str(error).split())})") from None
