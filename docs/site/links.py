"""Links of the repository's pages in the site: a page or file outside `docs/` is taken along at its own path.

In the repository a link is relative to the file that holds it. The site's root is `docs/`, so `../benchmarks/x.md` in
`docs/y.md` becomes `benchmarks/x.md`, and a page of `benchmarks/` finds `docs/` at the root.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Pages outside docs/ that the site shows, by path in the repository.
OUTSIDE = (
    "benchmarks/validity.md",
    "benchmarks/published_tests.md",
    "benchmarks/calibration_validity.md",
    "benchmarks/large_files.md",
    "benchmarks/large_pipeline.md",
    "benchmarks/recipe.md",
    "examples/fine_tuned/README.md",
    "examples/retest/README.md",
    "examples/retest/retest.md",
)

_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)((?:#[^)\s]*)?)(?=\))")
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def targets(markdown: str) -> Iterator[str]:
    """Yield the targets of relative links and images, without their anchors; code is no link."""
    for place, part in enumerate(_CODE.split(markdown)):
        if place % 2 == 0:
            for match in _LINK.finditer(part):
                yield match[1]


def linked_file(target: str, page: str) -> Path:
    """Return the file (or folder) that a link of a page leads to.

    Args:
        target: as it stands in the page.
        page: the page's path in the repository.
    """
    return Path(os.path.normpath(ROOT / Path(page).parent / target))


def uri(path: str) -> str:
    """Return the place in the site of a path of the repository."""
    return path.removeprefix("docs/")


def relink(markdown: str, page: str) -> str:
    """Return a page with its relative links as they must be in the site."""

    def moved(match: re.Match[str]) -> str:
        target = linked_file(match[1], page).relative_to(ROOT).as_posix()
        return os.path.relpath(uri(target), Path(uri(page)).parent).replace(os.sep, "/") + match[2]

    split = _CODE.split(markdown)
    return "".join(part if place % 2 else _LINK.sub(moved, part) for place, part in enumerate(split))
