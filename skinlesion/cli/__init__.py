"""The command line: each command parses, calls one stage, prints through `console`.

A mistake of the user ends with one line and exit code 2. Nothing heavy is imported before a command runs:
`skinlesion --help` needs neither torch nor pandas nor pydantic. A new command goes into the module of its group; a
stage without options needs none (`other_stages`).
"""

import sys

from skinlesion.cli.app import app
from skinlesion.errors import UserError

# Importing a group registers its commands; `--help` lists them in this order.
# isort: off
from skinlesion.cli import data, training, results, files, use  # noqa: F401

# isort: on
from skinlesion.cli.other_stages import register_others

_INTERRUPTED = 130

register_others()


def main() -> None:
    """Run the command line; a UserError becomes one line and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # by name: torch is not imported for commands without it
            raise
        reason = str(error).partition(".")[0]
        print(f"error: {reason}; free the GPU's memory, or set train.device: cpu in params.yaml", file=sys.stderr)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:  # Typer turns Ctrl-C into this
            print("interrupted; run the same command again to resume", file=sys.stderr)
        raise
