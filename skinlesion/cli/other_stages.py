"""Commands of stages without a function of their own in `cli/`: `skinlesion NAME` calls NAME of stages/NAME.py.

Such a stage takes (params, workspace) and no options. Its docstring is the help; a path that it returns is printed.
"""

import ast
import importlib
from pathlib import Path

import typer

from skinlesion.cli.app import PIPELINE, ParamsOption, app, command, load

_STAGES = Path(__file__).parents[1] / "stages"

#: Stages that another command calls.
_PART_OF_ANOTHER = frozenset({"audit_page"})


def _help(path: Path) -> str | None:
    """Return the docstring of the function named like the module, None where there is none of these arguments."""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and node.name == path.stem:
            arguments = [argument.arg for argument in node.args.args]
            return (ast.get_docstring(node) or "") if arguments == ["params", "workspace"] else None
    return None


def _register(name: str, text: str) -> None:
    def run(params: ParamsOption = Path("params.yaml")) -> None:
        stage = importlib.import_module(f"skinlesion.stages.{name}")
        written = getattr(stage, name)(*load(params))
        if isinstance(written, Path):
            typer.echo(f"open {written}")

    examples = (f"skinlesion {name}", f"skinlesion {name} --params examples/phantom/params.yaml")
    command(PIPELINE, *examples, name=name, help=text.partition("\n\n")[0])(run)


def register_others() -> None:
    """Add a command for every such stage."""
    registered = {entry.name or getattr(entry.callback, "__name__", "") for entry in app.registered_commands}
    for path in sorted(_STAGES.glob("[a-z]*.py")):
        text = _help(path) if path.stem not in registered | _PART_OF_ANOTHER else None
        if text is not None:
            _register(path.stem, text)
