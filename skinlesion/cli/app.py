"""What all commands share: the Typer application, the option --params, and the loading of a workspace."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from skinlesion.choices import names
from skinlesion.errors import UserError, name_some

if TYPE_CHECKING:
    from skinlesion.params import Params
    from skinlesion.results.workspace import Workspace

_Function = TypeVar("_Function", bound=Callable[..., Any])

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Benchmark skin-lesion classifiers on HAM10000: image only against image and metadata. "
    "Research software, not for diagnosis.",
)

# The panels of `--help`.
START, PIPELINE, PREDICTIONS, SHARE = "Start", "Pipeline", "Your predictions", "Share"

#: The name of an experiment, where a command takes it; `--experiment` is how dvc.yaml spells it.
HiddenExperiment = Annotated[str | None, typer.Option("--experiment", hidden=True)]

PublicOption = Annotated[
    Path | None, typer.Option("--public", help="Also write the page without photographs here, to publish it.")
]
ParamsOption = Annotated[Path, typer.Option("--params", help="The params.yaml to read; its folder is the workspace.")]


def command(panel: str, *examples: str, **settings: Any) -> Callable[[_Function], _Function]:
    """Return a decorator that registers a command: its panel in `--help`, and examples below its own help."""
    return app.command(rich_help_panel=panel, epilog="\n\n".join(("Examples:", *examples)), **settings)


def bar(choice: Any) -> str:
    """Return the names of a choice as help shows them: "[frozen|two_stage|full]"."""
    return f"[{'|'.join(names(choice))}]"


def chosen(choice: Any, text: str) -> Any:
    """Return an option that takes one name of a choice: shown in help, and completed by the shell.

    That the value is one of them is checked by the schema of params.yaml, whose message names the nearest.
    """
    return typer.Option(help=text, metavar=bar(choice), autocompletion=lambda: list(names(choice)))


def name_given(name: str | None, option: str | None, flag: str = "--experiment") -> str | None:
    """Return the name of an experiment (or of an ensemble), given as an argument or by the option that dvc.yaml uses.

    Raises:
        UserError: it is given as both, and they differ.
    """
    if name is not None and option is not None and name != option:
        raise UserError(f"{name_some([name])}: {flag} names {name_some([option])}; give one name")
    return option if name is None else name


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

    return load_params(path, required=required or path != Path("params.yaml")), Workspace(path.parent, path.name)
