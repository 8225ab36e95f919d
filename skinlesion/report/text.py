"""Plain text from templates: Markdown and LaTeX, where nothing is escaped."""

from collections.abc import Sequence
from typing import Any

import jinja2

_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "–": "--", "−": "$-$", "×": r"$\times$"}


def render_text(template: str, **values: Any) -> str:
    """Return a text from a template of this folder; a name the template uses and is not given raises an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skinlesion.report", "."),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)


def latex_table(header: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    """Return a table for a paper, with booktabs' lines; `note` stands below as a comment."""
    columns = "l" * len(header)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _line(header), r"\midrule"]
    lines += [_line(row) for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", f"% {note}"]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return " & ".join("".join(_LATEX.get(sign, sign) for sign in cell) for cell in cells) + r" \\"
