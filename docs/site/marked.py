"""Marked parts of the documentation's pages: `<!-- KIND: WHAT -->text<!-- end -->`.

Four kinds are known:
    output: what a command prints. `outputs.py` runs it and writes the text into the page, which is committed.
    figure: one number out of a committed file (`figures.py`). Written and committed likewise.
    table: a reference made from the code (`fills.TABLES`). Written and committed likewise.
    fill: what the site alone has (`fills.FILLS`); the page in the repository says where to look.
"""

import re
from collections.abc import Callable, Iterator

_PART = re.compile(r"<!-- (output|figure|table|fill): (.+?) -->(.*?)<!-- end -->", re.DOTALL)


def parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind, what, and the text between the marks, of every marked part."""
    for match in _PART.finditer(text):
        yield match[1], match[2], match[3]


def rewrite(text: str, kind: str, write: Callable[[str], str], *, keep_marks: bool = True) -> str:
    """Return `text` with `write(what)` between the marks of every part of one kind."""

    def replaced(match: re.Match[str]) -> str:
        if match[1] != kind:
            return match[0]
        inside = write(match[2])
        return f"<!-- {kind}: {match[2]} -->{inside}<!-- end -->" if keep_marks else inside

    return _PART.sub(replaced, text)


def anchor(heading: str) -> str:
    """Return the anchor that both the site and a page of a repository give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
