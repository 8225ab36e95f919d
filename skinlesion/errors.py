"""The exception for mistakes of the user, and words for the choices, values and ids that its message names."""

import difflib
import os
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_MOST_SHOWN = 80  # characters of a value that somebody gave
_MOST_CHOICES = 12
_MOST_FILES = 5000  # of a folder, compared with a name
_LIKE = 0.85  # similarity of a misspelt file name; those of one stage's files are less alike
_LONGEST_MESSAGE = 300 - len("error: ")
_LONGEST_LIST = 2000  # a screen


class UserError(Exception):
    """A mistake the user can fix: its text is one line that names the field, file or ids and the remedy.

    The command line prints it and exits with 2. Anything else that escapes is a bug: traceback, exit 1.
    """


class ManyErrors(UserError):
    """Several mistakes at once, still in one line: it may be a screen long."""


def choices(valid: Iterable[str], given: str = "") -> str:
    """Return the valid names in words, led by the nearest one where `given` looks misspelt."""
    names, given = [str(name) for name in valid], given[:_MOST_SHOWN]
    near = [name for name in names if given and name.startswith(given)]
    initials = "".join(word[:1] for word in given.split("_"))  # lr for learning_rate
    near = near or difflib.get_close_matches(given, names, n=1) or [name for name in names if name == initials]
    if not near and len(names) > _MOST_CHOICES:  # those that are a little alike first
        alike = difflib.get_close_matches(given, names, n=4, cutoff=0.2)
        names = [*alike, *(name for name in names if name not in alike)]
    listed = name_some(names, _MOST_CHOICES)
    return f"did you mean {near[0]}? valid: {listed}" if near else f"valid: {listed}"


def nearby(path: Path) -> str:
    """Return "did you mean NAME? " where the folder of a missing file has one of a similar name, else ""."""
    try:
        names = sorted(os.listdir(path.parent))[:_MOST_FILES]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=_LIKE)
    return f"did you mean {shorten(printable(near[0]))}? " if near else ""


def name_some(ids: Iterable[object], most: int = 10) -> str:
    """Return ids in words: all of them up to `most`, then how many more there are."""
    listed = [shorten(printable(str(name))) for name in ids]
    text = ", ".join(listed[:most])
    return text if len(listed) <= most else f"{text} and {len(listed) - most} more"


def shown(value: Any) -> str:
    """Return a value that somebody gave as a message shows it: its repr, printable and of at most 80 characters."""
    return shorten(printable(_Short().repr(value)))


def printable(text: str) -> str:
    """Return text in which line ends are spaces and other characters that a terminal would act upon are escaped."""
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else ascii(letter)[1:-1] for letter in text
    )


def shorten(text: str, most: int = _MOST_SHOWN) -> str:
    """Return text of at most `most` characters: the middle of a longer one is left out."""
    if len(text) <= most:
        return text
    end = (most - 3) // 3
    return f"{text[: most - 3 - end]} … {text[len(text) - end :]}"


def one_line(message: object) -> str:
    """Return a message as the terminal shows it: one line, printable, of at most 300 characters (a list: 2,000)."""
    return shorten(
        printable(str(message).strip()), _LONGEST_LIST if isinstance(message, ManyErrors) else _LONGEST_MESSAGE
    )


class _Short(reprlib.Repr):
    """The repr of what may be huge or nested: only as much of it as is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, _MOST_SHOWN, _MOST_SHOWN

    def repr_int(self, value: int, level: int) -> str:
        return f"an integer of {value.bit_length()} bits" if value.bit_length() > 4 * _MOST_SHOWN else str(value)
