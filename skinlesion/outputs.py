"""Outputs that a user names: what lies there already is replaced only where the same command wrote it."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from skinlesion.errors import UserError


def check_outputs(paths: Iterable[Path], option: str, is_own: Callable[[Path], bool]) -> None:
    """Check, before anything is computed, that files can be written and that nothing else is lost by it.

    Args:
        paths: what will be written.
        option: what names it, such as "--out", for the message.
        is_own: whether a regular file is one that the same command wrote, which may be replaced.

    Raises:
        UserError: something else lies there, or no file can be made there.
    """
    for path in paths:
        check_folder(path.parent, option)
        if not os.path.lexists(path):
            continue
        if path.is_dir():
            raise UserError(f"{option}: {path} is a folder; choose another path")
        if path.is_symlink() or not path.is_file() or not is_own(path):
            raise UserError(f"{option}: {path} is there already and not of this command; choose another path")


def first_bytes(path: Path, most: int) -> bytes:
    """Return the first bytes of a file, at most `most`; none of one that cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(most)
    except OSError:
        return b""


def check_folder(folder: Path, option: str) -> None:
    """Check that files can be written to a folder, or that the folder can be made.

    Raises:
        UserError: it is something else, or cannot be written to.
    """
    while True:
        try:
            os.lstat(folder)
            break
        except FileNotFoundError:
            folder = folder.parent
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"{option}: {folder} cannot be used ({reason}); choose another path") from None
    if not folder.is_dir():
        raise UserError(f"{option}: {folder} is not a folder; choose another path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{option}: {folder} cannot be written to (Permission denied); choose another path")
