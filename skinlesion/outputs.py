"""Outputs that a user names: what lies there already is replaced only where the same command wrote it."""

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from skinlesion.atomic import ELSEWHERE, LONGEST_NAME, check_replaceable, system_reason
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
        check_output_folder(path.parent, option, path)
        if not os.path.lexists(path):
            continue
        if path.is_dir():
            raise UserError(f"{option}: {path} is a folder; choose another path")
        if path.is_symlink() or not path.is_file() or not is_own(path):
            raise UserError(f"{option}: {path} already exists and was not written by this command; choose another path")


def first_bytes(path: Path, most: int) -> bytes:
    """Return the first bytes of a file, at most `most`; none of one that cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(most)
    except OSError:
        return b""


def check_output(path: Path, option: str) -> None:
    """Check that a file can be written as `path`, before the work that it is to hold; nothing is left behind.

    Raises:
        UserError: it cannot; the message names the option that gave the path.
    """
    try:
        check_replaceable(path)
    except UserError as error:
        raise UserError(f"{option} {error}") from None
    check_output_folder(path.parent, option, path)


def check_output_folder(folder: Path, option: str, asked: Path | None = None) -> None:
    """Check that files can be written into a folder, which is made later where it is not there; nothing is left behind.

    Raises:
        UserError: they cannot; the message names the option that gave the path, and `asked` instead of the folder.
    """
    existing = folder
    try:
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in (asked or folder).parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        while not _is_there(existing) and existing != existing.parent:
            existing = existing.parent
        if not stat.S_ISDIR(existing.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "a file where a folder is to be")
        with tempfile.TemporaryFile(dir=existing):
            pass
    except (OSError, ValueError) as error:
        raise UserError(
            f"{option} {asked or folder}: cannot be written ({system_reason(error)}); {ELSEWHERE}"
        ) from None


def _is_there(path: Path) -> bool:
    """Return whether there is anything, a broken link included; raises OSError for an impossible name."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True
