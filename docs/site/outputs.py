"""Write what commands print, and figures of committed files, into the pages that show them.

python docs/site/outputs.py                                  (all pages but those of MINUTES)
python docs/site/outputs.py docs/tutorials/experiment.md     (those named)

The commands of a page run one after the other, for real, in a temporary folder that holds what `FOLDERS` says.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import figures
import fills
import marked
import simulate

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

#: Pages whose commands train models.
MINUTES = ("tutorials/experiment.md",)


def copy_params(folder: Path) -> None:
    """Write the params.yaml that the page shows."""
    match = re.search(r"```yaml\n(.*?)```", (DOCS / "tutorials/experiment.md").read_text(encoding="utf-8"), re.DOTALL)
    assert match, "the page shows no params.yaml"
    (folder / "params.yaml").write_text(match[1], encoding="utf-8")


#: Page → what fills the folder in which its commands run.
FOLDERS: dict[str, Callable[[Path], object]] = {
    "tutorials/compare.md": simulate.simulate,
    "tutorials/experiment.md": copy_params,
}


def pages() -> list[Path]:
    """Return the pages of the documentation that are written by hand, and so may hold marked parts."""
    return sorted(path for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in ("offline", "site"))


def written(page: Path) -> str:
    """Return a page's text with its outputs, figures and tables made anew."""
    text = marked.rewrite(page.read_text(encoding="utf-8"), "figure", figures.figure)
    text = marked.rewrite(text, "table", fills.table)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        FOLDERS.get(page.relative_to(DOCS).as_posix(), lambda _: None)(folder)
        return marked.rewrite(text, "output", lambda what: _block(what, folder))


def _block(what: str, folder: Path) -> str:
    """Run a command and return it and what it prints as a code block.

    Args:
        what: `COMMAND`; `COMMAND | FIRST-LAST`, the lines to show; or `COMMAND | error`, a mistake of the user.
    """
    command, _, lines = what.partition(" | ")
    printed = _run(command, folder, wanted=2 if lines == "error" else 0)
    if lines and lines != "error":
        first, last = lines.split("-")
        excerpt = printed[int(first or 1) - 1 : int(last) if last else None]
        before, after = ["..."] * (int(first or 1) > 1), ["..."] * bool(last)
        printed = [*before, *excerpt, *after]
    return "\n" + "\n".join(["```console", f"$ {command}", *printed, "```"]) + "\n"


def _run(command: str, folder: Path, wanted: int) -> list[str]:
    """Return the lines that a command prints; of a line that overwrites itself its last state."""
    program, *arguments = command.split()
    assert program == "skinlesion", command
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "skinlesion", *arguments],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode != wanted:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stdout}")
    return [line.rpartition("\r")[2].rstrip() for line in done.stdout.rstrip().split("\n")]


def main() -> None:
    chosen = [Path(name).resolve() for name in sys.argv[1:]]
    for page in chosen or [page for page in pages() if page.relative_to(DOCS).as_posix() not in MINUTES]:
        text = written(page)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
