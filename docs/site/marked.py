"""Marked parts of the documentation's pages: `<!-- KIND: WHAT -->text<!-- end -->`.

Three kinds are known:
    output: what a command prints. `outputs.py` runs it and writes the text into the page, which is committed.
    figure: one number out of a committed file (`figures.py`). Written and committed likewise.
    fill: a table made from the code (`reference.py`). The site has it; the page in the repository says where to look.
"""

import re
from collections.abc import Callable, Iterator

_PART = re.compile(r"<!-- (output|figure|fill): (.+?) -->(.*?)<!-- end -->", re.DOTALL)


def parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind, what, and the text between the marks, of every marked part."""
    for found in _PART.finditer(text):
        yield found[1], found[2], found[3]


def rewrite(text: str, kind: str, write: Callable[[str], str], *, keep_marks: bool = True) -> str:
    """Return `text` with `write(what)` between the marks of every part of one kind."""

    def replaced(found: re.Match[str]) -> str:
        if found[1] != kind:
            return found[0]
        inside = write(found[2])
        return f"<!-- {kind}: {found[2]} -->{inside}<!-- end -->" if keep_marks else inside

    return _PART.sub(replaced, text)
