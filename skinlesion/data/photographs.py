"""Photographs outside a data set: finding them, naming what is made of them, and reading them as `prepare` does."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skinlesion.data.decode import decode
from skinlesion.data.sources.images import MOST_BYTES, SUFFIXES
from skinlesion.errors import UserError, name_some
from skinlesion.params import PrepareParams
from skinlesion.reading import check_readable


def find_photographs(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return files as they are, and the images below folders, sorted; and a warning about those given twice.

    A file that is given twice, by itself and by its folder or through a link, is returned once.

    Raises:
        UserError: a path that does not exist, or no image at all.
    """
    files: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                files += sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            elif path.exists():
                files.append(path)
            else:
                raise UserError(f"{path}: no such file or folder; check the path")
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', error)}); check the path") from None
    if not files:
        raise UserError(f"{name_some(paths, 3)}: no image below ({', '.join(sorted(SUFFIXES))})")
    distinct = {file.resolve(): file for file in reversed(files)}
    unique = [file for file in dict.fromkeys(files) if distinct[file.resolve()] == file]
    twice = [file for file, times in Counter(file.resolve() for file in files).items() if times > 1]
    listed = name_some([distinct[file] for file in twice], 3)
    return unique, [f"given twice, answered once: {listed}"] if twice else []


def distinct_names(files: Sequence[Path]) -> dict[Path, str]:
    """Return a name for each file, told apart also where capitals are not: as a rule the file's without its ending.

    Where files have the same one, it is the shortest end of their paths that differs, folders joined by hyphens.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(file.stem.casefold(), []).append(file)
    for group in sorted(groups.values(), key=len):  # those that keep their own names first
        for file, wanted in zip(group, _ends(group), strict=True):
            name, number = wanted, 2
            while name.casefold() in taken:
                name, number = f"{wanted}-{number}", number + 1
            taken.add(name.casefold())
            names[file] = name
    return names


def _ends(group: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that differ: without the file's ending where that is enough."""
    folders = [file.absolute().parts[1:-1] for file in group]
    ends: list[str] = []
    for count in range(1 + max(map(len, folders))):
        before = [parts[max(0, len(parts) - count) :] for parts in folders]
        for names in ([file.stem for file in group], [file.name for file in group]):
            ends = ["-".join((*parts, name)) for parts, name in zip(before, names, strict=True)]
            if len({end.casefold() for end in ends}) == len(ends):
                return ends
    return ends


def read_photograph(path: Path, settings: PrepareParams) -> np.ndarray:
    """Return the frame (h, w, 3) uint8 of a photograph as `prepare` would store it.

    Raises:
        UserError: no regular file, too large, or not an image that can be read; the message says why.
    """
    check_readable(path, "give a photograph", MOST_BYTES)
    try:
        return decode(path.read_bytes(), settings).pixels
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError on broken headers
        raise UserError(f"{path}: not a readable image ({' '.join(str(error).split())})") from None
