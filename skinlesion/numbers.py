"""How numbers are written: one form for the terminal, tables, model cards, LaTeX, pages and the dashboard.

A missing value (None or NaN) is `MISSING`; negative numbers carry the true minus sign; thousands are separated by
commas; intervals read "value (low to high)"; a percent sign follows its number without a space. Every other module
that shows a number calls these functions, and templates know them as filters.
"""

import math
from collections.abc import Mapping
from typing import Any

MISSING = "–"
MINUS = "−"

#: Places after the point where the caller asks for none in particular: few for large values.
_PLACES, _PLACES_FROM_TEN = 3, 1


def is_missing(value: Any) -> bool:
    """Return whether there is no value to write: None, NaN or an infinity."""
    return value is None or not math.isfinite(value)


def number(value: float | None, places: int | None = 3, *, signed: bool = False) -> str:
    """Return a number with fixed places after the point: "0.642", "−1,024.0"; with `signed`, "+0.028".

    Args:
        places: None stands for three, or one from ten on.
    """
    if value is None or is_missing(value):
        return MISSING
    places = _places_of(value) if places is None else places
    # A small negative value keeps its sign, "−0.000": it tells on which side of zero a limit lies.
    return f"{value + 0.0:{'+' if signed else ''},.{places}f}".replace("-", MINUS)


def plain(value: float | None) -> str:
    """Return a number that somebody chose, such as a setting, as short as it is: "0.02", "12.5", "1,000"."""
    return MISSING if value is None or is_missing(value) else f"{value:,g}".replace("-", MINUS)


def limits(low: float | None, high: float | None, places: int | None = 3, *, signed: bool = False) -> str:
    """Return the ends of an interval by themselves: "0.620 to 0.664"."""
    if low is None or high is None or is_missing(low) or is_missing(high):
        return MISSING
    return f"{number(low, places, signed=signed)} to {number(high, places, signed=signed)}"


def interval(
    value: float | None, low: float | None, high: float | None, places: int | None = 3, *, signed: bool = False
) -> str:
    """Return "0.642 (0.620 to 0.664)"; the value alone where a limit is missing.

    Args:
        places: of all three; None chooses them by the value.
    """
    if value is None or is_missing(value):
        return MISSING
    places = _places_of(value) if places is None else places
    text, ends = number(value, places, signed=signed), limits(low, high, places, signed=signed)
    return text if ends == MISSING else f"{text} ({ends})"


def figure(figures: Mapping[str, Any], name: str, places: int | None = 3, *, signed: bool = False) -> str:
    """Return a flat figure with the interval of its `_low` and `_high`, such as those of metrics.json."""
    return interval(figures.get(name), figures.get(f"{name}_low"), figures.get(f"{name}_high"), places, signed=signed)


def row_interval(row: Mapping[Any, Any], places: int | None = 3, *, signed: bool = False) -> str:
    """Return the `value` of a table's row with its `low` and `high`."""
    return interval(row["value"], row["low"], row["high"], places, signed=signed)


def percent(share: float | None, places: int | None = 0) -> str:
    """Return a share of one in percent: "90%".

    Args:
        places: None writes a share that somebody chose as short as it is: "12.5%".
    """
    if share is None or is_missing(share):
        return MISSING
    return f"{plain(100 * share) if places is None else number(100 * share, places)}%"


def points(share: float | None, places: int = 1, *, signed: bool = False) -> str:
    """Return a difference of shares in points, hundredths: "+2.8" of 0.028."""
    return MISSING if share is None or is_missing(share) else number(100 * share, places, signed=signed)


def count(value: float | None, singular: str = "", plural: str | None = None) -> str:
    """Return "1 pair", "2 pairs", "10,015 images", or "10,015" without a noun; `plural` where an s does not make it."""
    if value is None or is_missing(value):
        return MISSING
    noun = singular if value == 1 or not singular else plural or f"{singular}s"
    return f"{number(value, 0)} {noun}".rstrip()


def interval_note(*notes: Mapping[str, Any]) -> str:
    """Return in words what the intervals of metrics.json are, from the notes.json of each system."""
    return " or ".join(
        dict.fromkeys(f"{percent(note['confidence'], None)} t interval {note['intervals']}" for note in notes)
    )


def scientific(value: float | None, places: int = 1) -> str:
    """Return a number far from one, such as a rate of false positives: "1.0e−06"."""
    return MISSING if value is None or is_missing(value) else f"{value:.{places}e}".replace("-", MINUS)


def p_value(p: float | None) -> str:
    """Return a p-value with three places, and below 0.001 as "1.0e−04"."""
    return scientific(p) if p is not None and p < 0.001 else number(p)


def _places_of(value: float) -> int:
    return _PLACES_FROM_TEN if abs(value) >= 10 else _PLACES


#: What templates can do to a number, by the same names.
FILTERS = {
    function.__name__: function
    for function in (number, plain, limits, interval, figure, row_interval, percent, points, count, scientific, p_value)
}
