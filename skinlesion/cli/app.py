"""What all commands share: the Typer application, the option --params, and the loading of a workspace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from skinlesion.params import Params
    from skinlesion.results.workspace import Workspace

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Benchmark skin-lesion classifiers on HAM10000: image only against image and metadata. "
    "Research software, not for diagnosis.",
)

ParamsOption = Annotated[Path, typer.Option("--params", help="The params.yaml to read; its folder is the workspace.")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from skinlesion import __version__

        print(f"skinlesion {__version__}")
        raise typer.Exit


def load(path: Path, *, required: bool = True) -> "tuple[Params, Workspace]":
    """Return the content of a params.yaml and the workspace around it.

    With `required=False` the file may be absent, unless --params named it.

    Raises:
        UserError: the file is missing or wrong.
    """
    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace

    return load_params(path, required=required or path != Path("params.yaml")), Workspace(path.parent)
