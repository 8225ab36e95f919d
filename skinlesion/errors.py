"""The exception for mistakes of the user, and words for the choices and ids that its message names."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can fix: its text is one line that names the field, file or ids and the remedy.

    The command line prints it and exits with 2. Anything else that escapes is a bug: traceback, exit 1.
    """


def choices(valid: Iterable[str], given: str = "") -> str:
    """Return the valid names in words, led by the nearest one where `given` looks misspelt."""
    names = [str(name) for name in valid]
    near = [name for name in names if given and name.startswith(given)]
    near = near or difflib.get_close_matches(given, names, n=1)
    listed = ", ".join(names)
    return f"did you mean {near[0]}? valid: {listed}" if near else f"valid: {listed}"


def name_some(ids: Iterable[object], most: int = 10) -> str:
    """Return ids in words: all of them up to `most`, then how many more there are."""
    listed = [str(name) for name in ids]
    text = ", ".join(listed[:most])
    return text if len(listed) <= most else f"{text} and {len(listed) - most} more"
