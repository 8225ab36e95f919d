"""demo: the whole pipeline on the phantom in an empty folder, or on whatever a workspace holds, in a line a stage."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from skinlesion.errors import UserError
from skinlesion.outputs import check_output_folder
from skinlesion.results.names import HEADLINE_NAME, REPORT_PAGE_NAME
from skinlesion.results.workspace import Workspace
from skinlesion.stages.init import find_program, init

LOG_NAME = "demo.log"

_RUNNING = re.compile(r"Running stage '(.+)':")
_MOST_SHOWN = 20  # lines of a stage that failed


def demo(folder: Path, say: Callable[[str], None] = print) -> Path:
    """Run `dvc repro` in a folder, made a workspace of the phantom where it holds no params.yaml.

    Prints a line for each stage that runs, with its time, then the answer of `effect` if there is one. What the
    stages print goes to demo.log.

    Returns:
        The path of the report.

    Raises:
        UserError: the folder holds something else, DVC is not installed, or a stage fails: its last lines are shown.
    """
    if not (folder / "params.yaml").exists():
        check_output_folder(folder, "demo")
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"demo: {folder} is not empty and has no params.yaml; name an empty folder")
        init(folder, "phantom", dvc=True)
        say(f"{folder}: params.yaml, dvc.yaml; images are drawn by code, they say nothing about patients")
    program = find_program("dvc")
    stages = subprocess.run(
        [program, "stage", "list", "--name-only"], cwd=folder, capture_output=True, text=True, check=False
    ).stdout.split()
    begin = monotonic()
    lines: list[str] = []
    # Stages call `skinlesion`: that of this interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    process = subprocess.Popen(
        [program, "repro"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PATH": path},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with (folder / LOG_NAME).open("w", encoding="utf-8") as log:
            for line in _stage_lines(process.stdout, log.write, lines, len(stages)):
                say(line)
    finally:
        if process.poll() is None:
            process.terminate()
        code = process.wait()
        process.stdout.close()
    if code:
        for line in lines[-_MOST_SHOWN:]:
            say(f"  {line}")
        raise UserError(f"demo: a stage failed; all that was printed is in {folder / LOG_NAME}")
    say(
        f"{len(stages)} stages up to date after {monotonic() - begin:.0f} s; all that they printed: {folder / LOG_NAME}"
    )
    workspace = Workspace(folder)
    headline = workspace.reports / HEADLINE_NAME
    if headline.exists():
        say("")
        for paragraph in headline.read_text(encoding="utf-8").split("\n\n"):
            if not paragraph.startswith("|"):
                say(paragraph.strip())
    return workspace.reports / REPORT_PAGE_NAME


def _stage_lines(output: Iterator[str], write: Callable[[str], object], lines: list[str], stages: int) -> Iterator[str]:
    """Yield a line for each stage of DVC's output when it has ended; `lines` collects what the last stage printed."""
    name, number, begin = "", 0, monotonic()
    for line in output:
        write(line)
        running = _RUNNING.match(line)
        ended = running or line.startswith(("Stage '", "ERROR", "Use `dvc push`"))
        if ended and name:
            if not line.startswith("ERROR"):
                yield f"[{number}/{stages}] {name} … {monotonic() - begin:.1f} s"
            name = ""
        if line.startswith("Stage '"):
            number += 1
        if running:
            name, number, begin = running[1].replace("@", " "), number + 1, monotonic()
            lines.clear()
        lines.append(line.rstrip())
