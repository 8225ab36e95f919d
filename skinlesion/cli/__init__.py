"""The command line: each command parses, calls one stage, prints through `console`.

A mistake of the user ends with one line and exit code 2. Nothing heavy is imported before a command runs:
`skinlesion --help` needs neither torch nor pandas nor pydantic. A new command goes into the module of its group; a
stage without options needs none (`other_stages`).
"""

import errno
import io
import os
import signal
import sys
import threading
from typing import Any, NoReturn

import typer

from skinlesion.cli.app import app
from skinlesion.errors import UserError, one_line
from skinlesion.extras import EXTRAS, not_installed

# Importing a group registers its commands; `--help` lists them in this order.
# isort: off
from skinlesion.cli import start, data, training, results, files, published, use  # noqa: F401

# isort: on
from skinlesion.cli.other_stages import register_others

_WRONG, _INTERRUPTED, _TERMINATED = 2, 130, 143

register_others()


def main() -> None:
    """Run the command line; a UserError becomes one line and exit code 2."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    if "" in sys.argv[1:]:  # a path of no name is the current folder, for Python
        _fail("an argument is empty; give a value or leave it out")
    try:
        code = app(standalone_mode=False) or 0
        if code == _INTERRUPTED:  # some versions of Typer end so after Ctrl-C, without an exception
            raise KeyboardInterrupt
        sys.exit(code)
    except UserError as error:
        _fail(error)
    except (typer.Abort, KeyboardInterrupt):
        print("interrupted; run the same command again to resume", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # whoever reads the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_INTERRUPTED)
    except MemoryError:
        _fail("out of memory; close other programs, or give the command less at a time")
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        _fail(not_installed(module, _command()))
    except OSError as error:
        if error.filename is None and error.errno not in _REMEDIES:
            raise
        _fail(_of_system(error))
    except Exception as error:
        if hasattr(error, "format_message"):  # Typer's own: it has had two base classes for them over its versions
            _fail_to_parse(error)
        if type(error).__name__ != "OutOfMemoryError":  # by name: torch is not imported for commands without it
            raise
        reason = str(error).partition(".")[0]
        _fail(f"{reason}; free the GPU's memory, or set train.device: cpu in params.yaml")


#: What to do where the system refuses, by the number of the error.
_REMEDIES = {
    errno.ENOSPC: "free space on the disk, then run the command again",
    errno.EDQUOT: "free space within the quota, then run the command again",
    errno.ENOENT: "check the path",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "a part of the path is a file: check it",
    errno.EEXIST: "a file is in the way: remove it, or choose another path",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.EROFS: "choose a path that can be written to",
    errno.ELOOP: "a link leads to itself: check the path",
    errno.ENAMETOOLONG: "choose a shorter path",
}


def _of_system(error: OSError) -> str:
    """Return the line for what the operating system refused: the last resort where no reader or writer said more."""
    remedy = _REMEDIES.get(error.errno or 0, "check the path")
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return f"{where}{error.strerror}; {remedy}"


def _fail_to_parse(error: Any) -> NoReturn:
    """Say which argument is wrong; or print the help where a group was called without a command."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        sys.exit(_WRONG)
    command = context.command_path if context else "skinlesion"
    _fail(f"{error.format_message().rstrip('.')}; `{command} --help` lists what there is")


def _command() -> str:
    """Return the command that was called."""
    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    return next((argument for argument in sys.argv[1:] if argument in names), "skinlesion")


def _fail(message: object) -> NoReturn:
    print(f"error: {one_line(message)}", file=sys.stderr)
    sys.exit(_WRONG)


def _terminated(*_: Any) -> None:
    """End by an exception, so that partial files are removed."""
    sys.exit(_TERMINATED)
