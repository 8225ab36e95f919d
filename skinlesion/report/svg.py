"""Shared parts of all figures."""

import io
import re
import warnings

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

# Okabe & Ito's palette: told apart with every common form of colour blindness.
INK, BLUE, ORANGE, GREY, LIGHT = "#222222", "#0072B2", "#D55E00", "#8a8a8a", "#9ecae1"

_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # may not stand in XML, or is a control character


def row_axes(rows: int, label_room: float = 0.25) -> tuple[Figure, Axes]:
    """Return a figure and its axes for `rows` horizontal lines, names on the left."""
    figure = Figure(figsize=(7.6, 1.1 + (0.36 if label_room < 0.4 else 0.42) * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_ylim(-0.7, rows - 0.3)
    return figure, axes


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG text: no date and fixed ids, so that the same figure gives the same bytes."""
    stream = io.StringIO()
    for words in figure.findobj(Text):
        words.set_parse_math(False)  # names and claims are what they are, dollar signs too
    with (
        warnings.catch_warnings(),
        mpl.rc_context(
            {
                "text.parse_math": False,
                "svg.hashsalt": "skinlesion",
                "svg.fonttype": "none",
                "font.family": "sans-serif",
            }
        ),
    ):
        # Words stay words in SVG: whoever shows it has the fonts.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=False)
    text = stream.getvalue()
    text = re.sub(r"^.*?(?=<svg)", "", text, flags=re.DOTALL)
    return _NO_XML.sub(lambda character: ascii(character[0])[1:-1], text)
