"""Numbers out of committed files, for `figure:` parts of pages: a cell of a Markdown table, or a value of a JSON file.

FILE.md > HEADING > ROW > COLUMN     (HEADING may be left out where the file's first table is meant)
FILE.json > KEY > KEY ...            (`*` for all keys: the smallest and the largest value)
"""

import json
import re
from pathlib import Path
from typing import Any

from skinlesion.numbers import count, percent

ROOT = Path(__file__).parents[2]


def figure(what: str) -> str:
    """Return the number in words.

    Raises:
        KeyError: the file has no such table, row, column or key.
    """
    file, *keys = what.split(" > ")
    text = (ROOT / file).read_text(encoding="utf-8")
    return _in_words(_value(json.loads(text), keys)) if file.endswith(".json") else cell(text, *keys)


def cell(text: str, *keys: str) -> str:
    """Return a cell of a Markdown table without its marks: "14.5%" of "14.5 % **!** [380]"."""
    *heading, row, column = keys
    rows = table(text, heading[0] if heading else "")
    place = rows[0].index(column)
    for values in rows[1:]:
        if values[0].strip("`") == row:
            return re.sub(r" \*\*!\*\*| \(c\)| \[\d+\]", "", values[place]).replace(" %", "%")
    raise KeyError(row)


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading ("" for the first of all), its row of names first."""
    if heading:
        _, separator, text = text.partition(f"\n## {heading}\n")
        if not separator:
            raise KeyError(heading)
    lines = re.search(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    if not lines:
        raise KeyError(f"no table below {heading!r}")
    rows = [[part.strip() for part in line.strip().strip("|").split("|")] for line in lines[0].splitlines()]
    return [rows[0], *rows[2:]]


def _value(content: Any, keys: list[str]) -> Any:
    for key in keys:
        content = list(content.values()) if key == "*" else content[key]
    return content


def _in_words(value: Any) -> str:
    """Return whole numbers as counts, shares as percentages, and several as a range."""
    if isinstance(value, list):
        return f"{_in_words(min(value))} to {_in_words(max(value))}"
    return count(value) if isinstance(value, int) else percent(value)
