"""The type of a report section; the list of sections is in `sections`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from skinlesion.results.reader import Results


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it.

    Attributes:
        title: the heading, also in the contents.
        html: all but the heading.
        figures: name → SVG of the section's figures, which are also written to files of their own.
        parts: id in the html → title of parts that the contents name as well.
    """

    title: str
    html: str
    figures: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        """Return the heading as the id that links name."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


#: A function that makes a section of results, None where there is nothing to show.
Make = Callable[[Results], Section | None]
