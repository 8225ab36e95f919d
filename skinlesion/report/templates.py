"""Pages and texts from templates: HTML, where values are escaped, and Markdown, where nothing is.

A template lies beside the module that names it, in this folder or in `sections`. All of them know the functions of
`numbers` and `inline` of `svg` as filters; a name that a template uses and is not given raises an error.
"""

import base64
import functools
import io
import re
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from skinlesion import numbers
from skinlesion.report.svg import inline

_INTERVAL = re.compile(r"(?:[+−]?[\d,.]+%? \()?[+−]?[\d,.]+ to [+−]?[\d,.]+\)?(?: ▼)?")
_QUALITY = 82  # of the JPEGs inside pages


def render(template: str, **values: Any) -> str:
    """Return HTML from a template; what is given is escaped unless the template says otherwise."""
    return _environment(True).get_template(template).render(**values)


def render_text(template: str, **values: Any) -> str:
    """Return plain text, such as Markdown, from a template; nothing is escaped."""
    return _environment(False).get_template(template).render(**values)


@functools.cache
def _environment(html: bool) -> jinja2.Environment:
    """Return the environment of HTML, or that of plain text: tags alone in a line leave no empty line there."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([
            jinja2.PackageLoader("skinlesion.report", "."),
            jinja2.PackageLoader("skinlesion.report", "sections"),
        ]),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        finalize=_together if html else None,
        trim_blocks=not html,
        keep_trailing_newline=not html,
    )  # fmt: skip
    environment.filters |= numbers.FILTERS | {"inline": inline, "cell": _cell}
    return environment


def _cell(value: Any) -> str:
    """Return words for a cell of a Markdown table, whatever they hold: no cell, line or tag begins in them."""
    text = " ".join(str(value).split())
    for letter, written in (("\\", "\\\\"), ("|", "\\|"), ("&", "&amp;"), ("<", "&lt;"), ("`", "\\`"), ("[", "\\[")):
        text = text.replace(letter, written)
    return text


def _together(value: Any) -> Any:
    """Return a figure with an interval so that a narrow cell breaks it before the bracket alone."""
    if isinstance(value, str) and _INTERVAL.fullmatch(value):
        return value.replace(" to ", "\u00a0to\u00a0")
    return value


def thumbnail(pixels: np.ndarray, side: int) -> str:
    """Return an image (H, W, 3) uint8 as a data URI of a JPEG of at most `side` pixels."""
    image = Image.fromarray(np.asarray(pixels))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
