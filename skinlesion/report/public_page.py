"""Pages without photographs, which may be published where the photographs' licence does not allow it."""

from pathlib import Path

from skinlesion.outputs import check_outputs, first_bytes

_MOST_HEAD = 4096  # bytes at most before the mark


def check_public(path: Path, command: str) -> None:
    """Check, before anything is computed, that `--public` of a command can write its page as `path`.

    Args:
        command: its name, which the page begins with, such as "report".

    Raises:
        UserError: something else than such a page lies there, or no file can be made there.
    """
    mark = f'content="skinlesion {command} --public"'.encode()
    check_outputs([path], "--public", lambda path: mark in first_bytes(path, _MOST_HEAD))
