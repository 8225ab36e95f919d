"""Files and folders that take their place whole or not at all, and what killed processes left of them."""

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skinlesion.errors import UserError

LONGEST_NAME = 225  # bytes: file systems take 255, and a temporary name is longer than the file's
ELSEWHERE = "choose another path"
_PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.partial")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it becomes `path` when the block ends well, and vanishes when not.

    The file has the permissions that the umask gives, whatever a library gives it (safetensors: 0600).

    Raises:
        UserError: a folder, pipe or device has the name, or no file of that name can be made.
    """
    check_replaceable(path)
    temporary = partial_of(path)
    try:  # from before the file is there: a signal ends the process anywhere
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep_partials(path)
            temporary.touch()
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise UserError(f"{path}: cannot be written ({system_reason(error)}); {ELSEWHERE}") from None
        mode = temporary.stat().st_mode
        yield temporary
        if temporary.stat().st_mode != mode:
            temporary.chmod(stat.S_IMODE(mode))
        os.replace(temporary, path)
    finally:
        with suppress(OSError, ValueError):  # of a path where no file can be
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; it takes the place of the folder `path` when the block ends well.

    Until then the old folder is as it was; a block that ends badly leaves it so.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.with_name(f"{path.name}.before")
    for name in (path, before):
        sweep_partials(name)
    temporary, old = partial_of(path), partial_of(before)
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_replaceable(path: Path) -> None:
    """Raise UserError where a file cannot, or must not, take the place of what has its name."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # making the folder says what is wrong, if anything is
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be written ({system_reason(error)}); {ELSEWHERE}") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise UserError(f"{path}: {kind}, not a file; {ELSEWHERE}")


def partial_of(path: Path) -> Path:
    """Return the temporary name beside `path` that this process writes to."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def sweep_partials(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` left beside it."""
    for left in path.parent.glob(f".{_literal(path.name)}.*.partial"):
        match = _PARTIAL.fullmatch(left.name)
        if match and match["name"] == path.name and not _is_alive(int(match["process"])):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _literal(name: str) -> str:
    """Return a name as a glob pattern that matches it alone."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def system_reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0]
