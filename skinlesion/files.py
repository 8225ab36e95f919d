"""Atomic file writing, reading with clear errors, and checksums.

Whatever a command reads comes through `read_text`, `read_json` or `read_csv`, which refuse what is no regular file,
too large, damaged or of another shape in one line.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinlesion.errors import UserError, shorten, shown

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 1 << 20
_LARGEST_TEXT = 64 << 20  # bytes of a JSON, YAML or Markdown file; the largest that is written has some hundred kB
_LONGEST_NAME = 225  # bytes: file systems take 255, and a temporary name is longer than the file's
_ELSEWHERE = "choose another path"
_PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.partial")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it becomes `path` when the block ends well, and vanishes when not.

    The file has the permissions that the umask gives, whatever a library gives it (safetensors: 0600).

    Raises:
        UserError: a folder, pipe or device has the name, or no file of that name can be made.
    """
    _refuse_other_kinds(path)
    temporary = partial_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_partials(path)
        temporary.touch()
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"{path}: cannot be written ({_reason(error)}); {_ELSEWHERE}") from None
    mode = temporary.stat().st_mode
    try:
        yield temporary
        if temporary.stat().st_mode != mode:
            temporary.chmod(stat.S_IMODE(mode))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: Path, option: str) -> None:
    """Check that a file can be written as `path`, before the work that it is to hold; nothing is left behind.

    Raises:
        UserError: it cannot; the message names the option that gave the path.
    """
    try:
        _refuse_other_kinds(path)
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
        if any(len(os.fsencode(part)) > _LONGEST_NAME for part in (asked or folder).parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        while not _is_there(existing) and existing != existing.parent:
            existing = existing.parent
        if not stat.S_ISDIR(existing.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "a file where a folder is to be")
        with tempfile.TemporaryFile(dir=existing):
            pass
    except (OSError, ValueError) as error:
        raise UserError(f"{option} {asked or folder}: cannot be written ({_reason(error)}); {_ELSEWHERE}") from None


def _is_there(path: Path) -> bool:
    """Return whether there is anything, a broken link included; raises OSError for an impossible name."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _refuse_other_kinds(path: Path) -> None:
    """Raise UserError where a file cannot, or must not, take the place of what has its name."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # making the folder says what is wrong, if anything is
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be written ({_reason(error)}); {_ELSEWHERE}") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise UserError(f"{path}: {kind}, not a file; {_ELSEWHERE}")


def partial_of(path: Path) -> Path:
    """Return the temporary name beside `path` that this process writes to."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def sweep_partials(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` left beside it."""
    for left in path.parent.glob(f".{_literal(path.name)}.*.partial"):
        match = _PARTIAL.fullmatch(left.name)
        if match and match["name"] == path.name and not _is_alive(int(match["process"])):
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


def check_readable(path: Path, remedy: str, largest: int | None = None) -> None:
    """Check that a path is a regular file that can be read; a pipe or device would be waited for.

    Raises:
        UserError: it is none, or has more than `largest` bytes; the message ends with `remedy`.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {remedy}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UserError(f"{path}: cannot be read ({_reason(error)}); {remedy}") from None
    if stat.S_ISDIR(found.st_mode):
        raise UserError(f"{path}: a folder, not a file; {remedy}")
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path}: a pipe, socket or device, not a file; {remedy}")
    if largest is not None and found.st_size > largest:
        raise UserError(f"{path}: {found.st_size:,} bytes, more than the {largest:,} that are read; {remedy}")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: cannot be read (Permission denied); {remedy}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0]


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
        raise UserError(f"{path}: cannot be read ({_reason(error)}); {remedy}") from None


def read_json(path: Path, remedy: str, shape: Any = dict[str, Any]) -> Any:
    """Return the content of a JSON file.

    Args:
        shape: the type of the content, as pydantic checks it: a `TypedDict`, a model, or `dict[str, float]`. Values
            that fit are returned as they stand in the file, a model's as the model.

    Raises:
        UserError: the file cannot be read, is not JSON, or is of another shape; the message ends with `remedy`.
    """
    from pydantic import TypeAdapter, ValidationError  # not above: `skinlesion code` reads nothing

    text = read_text(path, remedy)
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise UserError(f"{path}: not valid JSON; {remedy}") from None
    try:
        return TypeAdapter(shape).validate_python(content)
    except (ValidationError, RecursionError) as error:
        problems = error.errors() if isinstance(error, ValidationError) else [{"loc": (), "msg": "nested too deep"}]
        place = shorten(".".join(str(part) for part in problems[0]["loc"]))
        raise UserError(
            f"{path}: {place + ': ' if place else ''}{problems[0]['msg']}; not as skinlesion writes it: {remedy}"
        ) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_csv(path: Path, columns: tuple[str, ...], remedy: str, **options: Any) -> pd.DataFrame:
    """Return a CSV as a table.

    Raises:
        UserError: the file cannot be read, is compressed, is no CSV, or lacks one of `columns`; the message ends with
            `remedy`.
    """
    import pandas as pd  # not above: `skinlesion code` writes files before every `dvc repro` and reads no table

    check_readable(path, remedy)
    try:
        table = pd.read_csv(path, **options)
    except (ValueError, OSError, OverflowError, RecursionError) as error:  # pandas' own are ValueErrors
        raise UserError(f"{path}: not a readable CSV ({shown_problem(error)}); {remedy}") from None
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column {', '.join(missing)} missing; {remedy}")
    return table


def shown_problem(error: Exception) -> str:
    """Return what a library says of a file, in one short line."""
    lines = str(error).strip().splitlines()
    return shown(lines[0] if lines else type(error).__name__).strip("'\"")


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
