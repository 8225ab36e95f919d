"""init: a new workspace, with dvc.yaml, a short params.yaml, .gitignore and .dvcignore."""

import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from skinlesion.errors import UserError, choices, name_some
from skinlesion.extras import not_installed
from skinlesion.files import write_text
from skinlesion.outputs import check_output_folder

_PACKAGE = files("skinlesion")

#: What git keeps out of a workspace: data, models and pages; metrics and comparisons, small text, it keeps.
IGNORED = (
    "__pycache__/", "*.partial", "code.json", "demo.log", "data/raw/", "data/prepared/", "data/splits/",
    "data/features/", "data/external/*", "!data/external/.gitkeep", "models/", "runs/", "pretrained/", ".live/",
)  # fmt: skip

#: What DVC does not look at: caches, and what a killed command left behind.
UNTRACKED = ("__pycache__", "data/features", "timing.json", "*.partial")


def examples() -> tuple[str, ...]:
    """Return the names of the params.yaml that a workspace may begin with."""
    return tuple(sorted(path.name.removesuffix(".yaml") for path in (_PACKAGE / "starters").iterdir()))


def init(folder: Path, example: str = "phantom", *, git: bool = False, dvc: bool = False) -> list[Path]:
    """Write a new workspace into a folder; return the files.

    Args:
        folder: made where it is not there; it may hold files of other names.
        example: one of `examples()`.
        git: also `git init` and, inside it, `dvc init`.
        dvc: also `dvc init`; without git, DVC then works without revisions.

    Raises:
        UserError: no such example, a file is there already, or git or DVC is not installed or fails.
    """
    if example not in examples():
        raise UserError(f"--example {name_some([example])}: {choices(examples(), example)}")
    check_output_folder(folder, "init")
    for program in ["git", "dvc"] if git else ["dvc"] if dvc else []:
        find_program(program)  # before anything is written
    texts = {
        "params.yaml": (_PACKAGE / "starters" / f"{example}.yaml").read_text(encoding="utf-8"),
        "dvc.yaml": (_PACKAGE / "pipeline.yaml").read_text(encoding="utf-8"),
        ".gitignore": "\n".join(IGNORED) + "\n",
        ".dvcignore": "\n".join(UNTRACKED) + "\n",
    }
    there = [name for name in texts if (folder / name).exists()]
    if there:
        raise UserError(f"init: {folder} has {', '.join(there)} already; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    if git:
        _run(folder, "git", "init", "--quiet")
    if git or dvc:
        _run(folder, "dvc", "init", "--quiet", *([] if git or (folder / ".git").exists() else ["--no-scm"]))
        _run(folder, "dvc", "config", "core.analytics", "false")
    return [folder / name for name in texts]


def _run(folder: Path, *command: str) -> None:
    program = find_program(command[0])
    done = subprocess.run([program, *command[1:]], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"init: `{' '.join(command)}` failed: {last}")


def find_program(name: str) -> str:
    """Return the path of git, or of DVC beside this interpreter or on the PATH.

    Raises:
        UserError: it is not installed.
    """
    beside = Path(sys.executable).with_name(name)
    program = str(beside) if beside.exists() else shutil.which(name)
    if program is None:
        raise not_installed("dvc", "init") if name == "dvc" else UserError(f"init: {name} is not installed")
    return program
