"""Commands to begin with: init, demo."""

from pathlib import Path
from typing import Annotated

import typer

from skinlesion.cli.app import START, command


@command(START, "skinlesion init my-benchmark --git", "skinlesion init my-benchmark --example offline --dvc")
def init(
    folder: Annotated[Path, typer.Argument(help="The new workspace; created if it does not exist.")],
    example: Annotated[
        str, typer.Option(help="phantom (synthetic images), offline (HAM10000, no GPU) or ham10000 (HAM10000, CUDA).")
    ] = "phantom",
    git: Annotated[bool, typer.Option("--git", help="Also `git init` and `dvc init`.")] = False,
    dvc: Annotated[bool, typer.Option("--dvc", help="Also `dvc init`.")] = False,
) -> None:
    """Write a new workspace: params.yaml with your experiments, dvc.yaml, .gitignore."""
    from skinlesion import console
    from skinlesion.stages import init as stage

    for path in stage.init(folder, example, git=git, dvc=dvc):
        console.say(str(path))
    begin = "" if git or dvc else "dvc init --no-scm && "
    console.say(f"next: cd {folder} && {begin}dvc repro")


@command(START, "skinlesion demo", "skinlesion demo my-demo")
def demo(
    folder: Annotated[Path, typer.Argument(help="An empty folder, or a workspace.")] = Path("skinlesion-demo"),
) -> None:
    """Run the whole pipeline on synthetic images in an empty folder: minutes, no download."""
    from skinlesion import console
    from skinlesion.stages import demo as stage

    page = stage.demo(folder, lambda text: print(text, end="", flush=True))
    console.say(f"open {page}")
    console.say(f"the same in a browser: skinlesion dashboard --params {folder / 'params.yaml'}")
