"""Forest plots as SVG text: a row per figure with its interval, its words on the left and its number on the right.

Drawn for a given width and not scaled: a page holds a wide and a narrow one, and shows the one that fits.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

from markupsafe import Markup, escape
from matplotlib.ticker import MaxNLocator

from skinlesion.numbers import MINUS, is_missing
from skinlesion.report.svg import BLUE, GREY, GRID, INK, ORANGE, SHADE, inline, without_control_characters

WIDE, NARROW = 960, 350  # px
_FONT, _SMALL = 13.0, 11.5  # px
_LETTER = 0.53  # mean width of a letter, in font sizes
_LINE = 1.3  # height of a line, in font sizes
_GAP = 16.0  # px between columns
_STACKED = 560  # px: a narrower plot has its words above each row


@dataclass(frozen=True)
class Line:
    """An interval beside the main one, thin: `low` to `high`."""

    low: float
    high: float
    colour: str = GREY


@dataclass(frozen=True)
class Row:
    """A row of the plot; a row without a value shows its words alone.

    Attributes:
        number: the text at the right.
        words: smaller text below it.
        reference: a value to compare with, drawn as a tick.
        margin: half the width of a shaded band around 0.
        hollow: an empty mark.
        heading: of a group of rows that begins here.
    """

    label: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    number: str = ""
    detail: str = ""
    words: str = ""
    colour: str = INK
    thin: tuple[Line, ...] = ()
    reference: float | None = None
    margin: float | None = None
    hollow: bool = False
    diamond: bool = False
    heading: str = ""


@dataclass(frozen=True)
class Scale:
    """A horizontal axis from `low` to `high`: value → share of the width, and where its ticks stand."""

    low: float
    high: float
    ticks: tuple[float, ...]
    transform: Callable[[float], float] = float

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 1; beyond the ends, at the end."""
        low, high = self.transform(self.low), self.transform(self.high)
        return min(1.0, max(0.0, (self.transform(value) - low) / (high - low)))


def linear(values: Iterable[float]) -> Scale:
    """Return a scale that holds all values."""
    finite = [value for value in values if not is_missing(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = max(0.03 * (high - low), 1e-6)
    return _ticked(low - room, high + room)


def of_differences(values: Iterable[float], relevant: float) -> Scale:
    """Return a scale with 0 that holds all values and on which the difference `relevant` can be seen.

    Linear where the farthest value is at most ten times as large. Beyond that, inverse hyperbolic sine: near 0 like a
    linear scale, far from it like a logarithmic one.
    """
    finite = [*(value for value in values if not is_missing(value)), -relevant, relevant]
    low, high = min(finite), max(finite)
    if max(-low, high) <= 10 * relevant:
        room = 0.04 * (high - low)
        return _ticked(low - room, high + room)
    steps = [sign * relevant * factor for factor in (1, 5, 10, 25, 50, 100) for sign in (-1, 1)]
    ticks = sorted([0.0, *(step for step in steps if low <= step <= high)])
    return Scale(1.08 * low, 1.08 * high, tuple(ticks), lambda value: math.asinh(value / relevant))


def _ticked(low: float, high: float) -> Scale:
    ticks = MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(low, high)
    return Scale(low, high, tuple(float(tick) for tick in ticks if low <= tick <= high))


def verdict_colour(text: str, good: str, bad: str) -> str:
    """Return the colour of a verdict or an answer, by its first word."""
    return BLUE if text.startswith(good) else ORANGE if text.startswith(bad) else INK


def forest(
    rows: Sequence[Row], scale: Scale, title: str, write: Callable[[float], str], width: int = WIDE, zero: bool = True
) -> str:
    """Return the plot.

    Args:
        title: of the axis; "a | b | c" are the words at its left end, of the axis, and at its right end.
        write: a tick's value → its text.
        zero: whether a line stands at 0.
    """
    return _Plot(rows, scale, title, write, float(width), zero).draw()


def both_widths(svg: Callable[[int], str], title: str) -> tuple[str, Markup]:
    """Return the wide figure as its file has it, and the HTML of a page that shows the one that fits."""
    wide = svg(WIDE)
    html = Markup('<div class="wide-screen">{}</div><div class="narrow-screen">{}</div>')
    return wide, html.format(inline(wide, title), inline(svg(NARROW), title))


class _Plot:
    """The plot while it is drawn, top down."""

    def __init__(
        self, rows: Sequence[Row], scale: Scale, title: str, write: Callable[[float], str], width: float, zero: bool
    ) -> None:
        self.rows, self.scale, self.title, self.write, self.width, self.zero = rows, scale, title, write, width, zero
        self.stacked = width < _STACKED
        numbers = (1 + max((len(row.number) for row in rows), default=0)) * _FONT * _LETTER
        if self.stacked:
            right, left = min(max(numbers, 0.4 * width), 0.52 * width), 0.0
            self.label_width = width
        else:
            right = min(max(numbers, 0.2 * width), 0.3 * width)
            longest = max((max(len(row.label), len(row.detail)) for row in rows), default=0) * _FONT * _LETTER
            self.label_width = min(max(longest, 0.12 * width), 0.36 * width)
            left = self.label_width + _GAP
        self.right_width = right
        self.start, self.end = left + 6, width - right - _GAP
        self.parts: list[str] = []

    def draw(self) -> str:
        tops, y = [], 2.0
        for row in self.rows:
            if row.heading:
                y += 14 + _FONT * _LINE
            tops.append(y)
            y += self._height(row)
        bottom = y
        ground = self._ground(tops, bottom)
        for row, top in zip(self.rows, tops, strict=True):
            self._row(row, top)
        height = bottom + self._axis_height()
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}" height="{height:.0f}" '
            f'viewBox="0 0 {self.width:g} {height:.0f}" font-family="system-ui, sans-serif" font-size="{_FONT:g}">'
            f"{ground}{''.join(self.parts)}</svg>\n"
        )

    def _titles(self) -> tuple[str, list[str], str]:
        """Return the words at the left end of the axis, the lines of its title, and the words at its right end."""
        left, title, right = self.title.split(" | ") if " | " in self.title else ("", self.title, "")
        return left, _wrapped(title, self.width, _SMALL), right

    def _axis_height(self) -> float:
        left, title, right = self._titles()
        return 24 + _SMALL * _LINE * (len(title) + bool(left or right))

    def _label_lines(self, row: Row) -> tuple[list[str], list[str]]:
        return _wrapped(row.label, self.label_width, _FONT), _wrapped(row.detail, self.label_width, _SMALL)

    def _right_lines(self, row: Row) -> tuple[list[str], list[str]]:
        return _wrapped(row.number, self.right_width, _FONT), _wrapped(row.words, self.right_width, _SMALL)

    @staticmethod
    def _block(lines: tuple[list[str], list[str]]) -> float:
        return _LINE * (_FONT * len(lines[0]) + _SMALL * len(lines[1]))

    def _height(self, row: Row) -> float:
        label, right = self._block(self._label_lines(row)), self._block(self._right_lines(row))
        thin = 5.0 * len(row.thin)
        if self.stacked:
            return label + max(right, 16 + thin) + 12
        return max(label, right, 18 + thin) + 8

    def _x(self, value: float) -> float:
        return self.start + self.scale.place(value) * (self.end - self.start)

    def _ground(self, tops: list[float], bottom: float) -> str:
        """Return margins, grid and axis, which lie behind the rows."""
        previous, self.parts = self.parts, []
        for row, top in zip(self.rows, tops, strict=True):
            if row.margin is not None:
                x, end = self._x(-row.margin), self._x(row.margin)
                place = top + (self._block(self._label_lines(row)) if self.stacked else 0)
                height = top + self._height(row) - place - (8 if self.stacked else 0)
                self.parts.append(
                    f'<rect x="{x:.1f}" y="{place:.1f}" width="{end - x:.1f}" height="{height:.1f}" fill="{SHADE}"/>'
                )
        taken = -math.inf
        strips = [(top, top + self._height(row)) for row, top in zip(self.rows, tops, strict=True)]
        if self.stacked:  # words stand above each row: no line runs through them
            strips = [
                (end - self._height(row) + self._block(self._label_lines(row)), end - 6)
                for row, (_, end) in zip(self.rows, strips, strict=True)
            ]
        zero = self.zero and self.scale.low <= 0 <= self.scale.high
        for start, end in strips:
            for tick in self.scale.ticks:
                self._line(self._x(tick), start, self._x(tick), end, GRID, 0.8)
            if zero:
                self._line(self._x(0), start, self._x(0), end, INK, 1)
        for tick in self.scale.ticks:
            x = self._x(tick)
            text = self.write(tick)
            half = len(text) * _SMALL * _LETTER / 2
            if x - half > taken:
                middle = min(max(x, self.start + half - 6), self.width - half)
                self._text(middle, bottom + 15, text, _SMALL, anchor="middle")
                taken = x + half + 4
        self._line(self.start, bottom, self.end, bottom, GREY, 0.8)
        left, title, right = self._titles()
        y = bottom + 31
        if left or right:
            self._text(self.start, y, left, _SMALL, colour=GREY)
            self._text(self.end, y, right, _SMALL, anchor="end", colour=GREY)
            y += _SMALL * _LINE
        for line in title:
            half = len(line) * _SMALL * _LETTER / 2
            self._text(max((self.start + self.end) / 2, half), y, line, _SMALL, anchor="middle")
            y += _SMALL * _LINE
        ground, self.parts = "".join(self.parts), previous
        return ground

    def _row(self, row: Row, top: float) -> None:
        labels, right = self._label_lines(row), self._right_lines(row)
        height = self._height(row)
        if row.heading:
            self._text(0, top - 6 - (_LINE - 1) * _FONT, row.heading, _FONT, weight="600")
        if self.stacked:
            y = self._lines(0, top, labels, INK)
            middle = y + 9
            self._lines(self.end + _GAP, y, right, row.colour)
        else:
            middle = top + (height - 8) / 2
            self._lines(0, top + (height - 8 - self._block(labels)) / 2, labels, INK)
            self._lines(self.end + _GAP, top + (height - 8 - self._block(right)) / 2, right, row.colour)
        if is_missing(row.value):
            return
        for number, line in enumerate(row.thin, start=1):
            if not is_missing(line.low):
                y = middle + 3 + 5 * number
                self._line(self._x(line.low), y, self._x(line.high), y, line.colour, 1)
        if row.reference is not None and not is_missing(row.reference):
            x = self._x(row.reference)
            self._line(x, middle - 7, x, middle + 7, GREY, 2)
        if not is_missing(row.low) and not is_missing(row.high):
            self._line(self._x(row.low), middle, self._x(row.high), middle, row.colour, 2.4)
        self._mark(self._x(row.value), middle, row)

    def _mark(self, x: float, y: float, row: Row) -> None:
        fill = "#ffffff" if row.hollow else row.colour
        style = f'style="fill: {fill}; stroke: {row.colour}; stroke-width: 1.6"'
        if row.diamond:
            points = f"{x:.1f},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
            self.parts.append(f'<polygon points="{points}" {style}/>')
        else:
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.6" {style}/>')

    def _lines(self, x: float, top: float, lines: tuple[list[str], list[str]], colour: str) -> float:
        """Write a block of lines and of smaller ones below; return where it ends."""
        y = top
        for texts, size, ink in ((lines[0], _FONT, colour), (lines[1], _SMALL, GREY if colour == INK else colour)):
            for text in texts:
                self._text(x, y + size, text, size, colour=ink)
                y += size * _LINE
        return y

    def _line(self, x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> None:
        place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self.parts.append(f'<line {place} stroke="{colour}" stroke-width="{width:g}"/>')

    def _text(
        self, x: float, y: float, text: str, size: float, *, colour: str = INK, anchor: str = "start", weight: str = ""
    ) -> None:
        heavy = f' font-weight="{weight}"' if weight else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{heavy} fill="{colour}">'
            f"{escape(without_control_characters(text))}</text>"
        )


def _wrapped(text: str, width: float, size: float) -> list[str]:
    return wrap(text, max(8, int(width / (size * _LETTER))), break_on_hyphens=False) if text else []


def signed_points(value: float) -> str:
    """Return a difference on an axis in points, hundredths: "+2", "−0.5"."""
    return f"{100 * value + 0.0:+.3g}".replace("-", MINUS).replace("+0", "0") if round(100 * value, 6) else "0"
