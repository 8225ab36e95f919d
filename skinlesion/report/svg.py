"""Shared parts of all figures: colours, axes of rows, and figures as files and as parts of a page."""

import io
import re
import warnings

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

# Okabe & Ito's palette: told apart with every common form of colour blindness.
INK, BLUE, ORANGE, GREY, LIGHT = "#222222", "#0072b2", "#d55e00", "#767676", "#9ecae1"
GRID, SHADE = "#dddddd", "#e9ebee"
#: White on a coloured ground; a page's own white becomes its paper.
ON_COLOUR = "#fefefe"

#: Colours of a figure's file → the variables of style.css that stand for them in a page, and follow its dark mode.
_VARIABLES = {
    INK: "ink", "#000000": "ink", BLUE: "blue", ORANGE: "orange", GREY: "grey", LIGHT: "light", GRID: "grid",
    SHADE: "shade", "#ffffff": "paper",
}  # fmt: skip

_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # may not stand in XML, or is a control character
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
#: What a page has no use for: the description of matplotlib, namespaces, and names that nothing refers to.
_NOT_IN_PAGES = re.compile(
    r"<metadata>.*?</metadata>|\sxmlns(?::\w+)?=\"[^\"]*\"|\sversion=\"[^\"]*\""
    r"|\sid=\"(?:figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|legend|PathCollection|LineCollection|"
    r"FillBetweenPolyCollection|PolyCollection)_\d+\"",
    re.DOTALL,
)


def row_axes(rows: int) -> tuple[Figure, Axes]:
    """Return a figure and its axes for `rows` horizontal lines, names on the left."""
    figure = Figure(figsize=(7.6, 1.1 + 0.36 * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID, lw=0.6)
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
    return without_control_characters(text)


def without_control_characters(text: str) -> str:
    """Return XML with each character that may not stand in it written as its code, "\\x1b"."""
    return _NO_XML.sub(lambda character: ascii(character[0])[1:-1], text)


def inline(svg: str, title: str) -> Markup:
    """Return a figure as part of a page: named, in the page's own colours, which follow its dark mode.

    Args:
        title: what a screen reader says in place of the figure.
    """
    named = f'<svg role="img" fill="currentColor"><title>{escape(without_control_characters(title))}</title>'
    text = _NOT_IN_PAGES.sub("", svg)
    text = re.sub(r"<svg([^>]*)>", lambda tag: named.replace("<svg", f"<svg{tag[1]}", 1), text, count=1)
    return Markup(_COLOUR.sub(_variable, text))  # titles are escaped here, words in figures by their makers


def _variable(colour: re.Match[str]) -> str:
    name = _VARIABLES.get(colour[0].lower())
    return colour[0] if name is None else f"var(--{name})"
