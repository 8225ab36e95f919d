"""demo: the whole pipeline on the phantom in an empty folder, or on whatever a workspace holds, in a line a stage."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from skinlesion.errors import UserError, printable
from skinlesion.outputs import check_output_folder
from skinlesion.results.names import HEADLINE_NAME, REPORT_PAGE_NAME
from skinlesion.results.workspace import Workspace
from skinlesion.stages.init import find_program, init

LOG_NAME = "demo.log"

_RUNNING = re.compile(r"Running stage '(.+)':")
_MOST_SHOWN = 20  # lines of a stage that failed


def demo(folder: Path, show: Callable[[str], object]) -> Path:
    """Run `dvc repro` in a folder, made a workspace of the phantom where it holds no params.yaml.

    Shows each stage that runs, when it begins, and its time when it has ended; then the answer of `effect` if there is
    one. What the stages print goes to demo.log.

    Args:
        show: takes text, with its ends of lines.

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
        show(f"{folder}: params.yaml, dvc.yaml; images are drawn by code, they say nothing about patients\n")
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
            for text in _stage_texts(process.stdout, log.write, lines, len(stages)):
                show(text)
    finally:
        if process.poll() is None:
            process.terminate()
        code = process.wait()
        process.stdout.close()
    if code:
        for line in lines[-_MOST_SHOWN:]:
            show(f"  {printable(line)}\n")
        raise UserError(f"demo: a stage failed; all that was printed is in {folder / LOG_NAME}")
    seconds = f"{monotonic() - begin:.0f} s"
    show(f"{len(stages)} stages up to date after {seconds}; all that they printed: {folder / LOG_NAME}\n\n")
    workspace = Workspace(folder)
    headline = workspace.reports / HEADLINE_NAME
    if headline.exists():
        paragraphs = headline.read_text(encoding="utf-8").strip().split("\n\n")
        *answers, basis = (text for text in paragraphs if not text.startswith("|"))
        show("\n".join([basis, *answers]) + "\n")  # first what the figures rest on: drawn images, or patients
    return workspace.reports / REPORT_PAGE_NAME


def _stage_texts(output: Iterator[str], write: Callable[[str], object], lines: list[str], stages: int) -> Iterator[str]:
    """Yield a stage's number and name when it begins, and its time when it has ended, from what DVC prints.

    `lines` collects what the last stage printed; a stage that fails ends without a time.
    """
    name, number, begin = "", 0, monotonic()
    for line in output:
        write(line)
        running = _RUNNING.match(line)
        if name and (running or line.startswith(("Stage '", "ERROR", "Use `dvc push`"))):
            yield "\n" if line.startswith("ERROR") else f" {monotonic() - begin:.1f} s\n"
            name = ""
        if line.startswith("Stage '"):
            number += 1
        if running:
            name, number, begin = running[1].replace("@", " "), number + 1, monotonic()
            lines.clear()
            yield f"[{number}/{stages}] {name} …"
        lines.append(line.rstrip())
    if name:
        yield f" {monotonic() - begin:.1f} s\n"
