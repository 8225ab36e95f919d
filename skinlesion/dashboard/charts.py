"""Charts of the pages, for light and dark themes and told apart with every common form of colour blindness."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from skinlesion.numbers import count, percent
from skinlesion.report.svg import BLUE, GREY, ORANGE
from skinlesion.vocabulary import CLASS_NAMES, CLASSES

_DARK_CELL = 0.5  # share from which the text of a shaded cell is white
_LABEL_ROOM = 240  # pixels
_LONG_NAMES = 24  # characters together
_SHADES = ["#f7fbff", "#6baed6", "#08519c"]  # of a share of 0, 0.5 and 1
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2]]
_COLOURS = [BLUE, ORANGE, "#009E73", GREY]


def lines(
    table: pd.DataFrame,
    x: str,
    y: str,
    series: str,
    *,
    y_title: str,
    domain: Sequence[float] | None = None,
    whole: bool = False,
) -> alt.Chart:
    """Return one line per series; columns are named by what the axes are to say.

    Args:
        domain: of the vertical axis; by the data where it is None.
        whole: whether the horizontal axis counts something, in whole numbers from 1.
    """
    counted = alt.Axis(tickMinStep=1, format="d") if whole else alt.Axis()
    scale = alt.Scale(zero=False) if domain is None else alt.Scale(domain=list(domain))
    return (
        alt.Chart(table)
        .mark_line(point=alt.OverlayMarkDef(size=18))
        .encode(
            x=alt.X(f"{x}:Q", title=x, axis=counted, scale=alt.Scale(zero=not whole, nice=not whole)),
            y=alt.Y(f"{y}:Q", title=y_title, scale=scale),
            color=_colour(table, series, line=True),
            strokeDash=_dash(table, series),
            tooltip=[f"{series}:N", f"{x}:Q", alt.Tooltip(f"{y}:Q", format=".3f")],
        )
        .properties(height=300)
    )


def intervals(
    table: pd.DataFrame, *, title: str, kind: str | None = None, zero: bool = False, label: str = "name"
) -> alt.LayerChart | alt.FacetChart:
    """Return values with their intervals, one row each, in the order of the table.

    Args:
        table: columns `label`, `value, low, high`, and `kind` where rows are told apart by colour.
        zero: draw a line at 0: the rows are differences.
    """
    y = alt.Y(f"{label}:N", sort=None, title=None, axis=_names_axis())
    colour: dict[str, Any] = {"color": alt.value(BLUE) if kind is None else _colour(table, kind)}
    tooltip = [f"{label}:N", *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("value", "low", "high"))]
    base = alt.Chart(table)
    scale = alt.Scale(zero=False, nice=True)
    bars = base.mark_rule(strokeWidth=2.5).encode(
        y=y, x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", tooltip=tooltip, **colour
    )
    points = base.mark_point(filled=True, size=80, opacity=1).encode(
        y=y, x=alt.X("value:Q", title=title, scale=scale), tooltip=tooltip, **colour
    )
    layers = [bars, points]
    if zero:
        layers.insert(0, alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY).encode(x="zero:Q"))
    return alt.layer(*layers).properties(height=_height(len(set(table[label])), legend=kind is not None))


def confusion(matrix: np.ndarray, *, shares: bool) -> alt.LayerChart | alt.FacetChart:
    """Return a confusion matrix, each cell shaded by its share of its row, the true class.

    Args:
        matrix: counts (7, 7), rows are the truth.
        shares: whether cells say shares or counts.
    """
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    table = pd.DataFrame([
        {
            "truth": CLASSES[row], "answer": CLASSES[column], "share": share[row, column],
            "images": int(matrix[row, column]),
            "text": percent(share[row, column]) if shares else count(int(matrix[row, column])),
            "true diagnosis": CLASS_NAMES[CLASSES[row]], "answered": CLASS_NAMES[CLASSES[column]],
        }
        for row, column in np.ndindex(*matrix.shape)
    ])  # fmt: skip
    base = alt.Chart(table).encode(
        x=alt.X(
            "answer:N",
            sort=list(CLASSES),
            title="answer",
            axis=alt.Axis(labelAngle=0, orient="top", labelFlush=False, labelOverlap=False),
        ),
        y=alt.Y("truth:N", sort=list(CLASSES), title="truth", axis=_names_axis()),
        tooltip=["true diagnosis:N", "answered:N", "images:Q", alt.Tooltip("share:Q", format=".1%")],
    )
    cells = base.mark_rect().encode(
        color=alt.Color("share:Q", scale=alt.Scale(domain=[0, 0.5, 1], range=_SHADES), legend=None)
    )
    text = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition(alt.datum.share > _DARK_CELL, alt.value("white"), alt.value("#222222")),
    )
    return alt.layer(cells, text).properties(height=330)


def grouped_bars(
    table: pd.DataFrame, x: str, y: str, series: str, *, y_title: str = "", domain: Sequence[float] | None = (0, 1)
) -> alt.Chart:
    """Return bars of several series beside each other at each value of `x`."""
    scale = alt.Undefined if domain is None else alt.Scale(domain=list(domain))
    return (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=alt.X(f"{x}:N", sort=None, title=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset(f"{series}:N", sort=None),
            y=alt.Y(f"{y}:Q", title=y_title or None, scale=scale),
            color=_colour(table, series),
            tooltip=[f"{x}:N", f"{series}:N", alt.Tooltip(f"{y}:Q", format=".3~f")],
        )
        .properties(height=320)
    )


def bars(
    table: pd.DataFrame, label: str, value: str, *, domain: Sequence[float] | None = None, colour: str | None = None
) -> alt.Chart:
    """Return horizontal bars in the order of the table, one row each.

    Args:
        domain: of the horizontal axis.
        colour: a column of values in 0..1 that bars are coloured by.
    """
    scale = alt.Undefined if domain is None else alt.Scale(domain=list(domain))
    if colour is None:
        shade: Any = alt.value(BLUE)
    else:
        shade = alt.Color(
            f"{colour}:Q",
            scale=alt.Scale(scheme="viridis", domain=[0, 1]),
            title=colour,
            legend=alt.Legend(orient="top"),
        )
    tooltip = [f"{label}:N", alt.Tooltip(f"{value}:Q", format=",.3~f")]
    return (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=alt.X(f"{value}:Q", title=value, scale=scale),
            y=alt.Y(f"{label}:N", sort=None, title=None, axis=_names_axis()),
            color=shade,
            tooltip=tooltip + ([] if colour is None else [alt.Tooltip(f"{colour}:Q", format=".3f")]),
        )
        .properties(height=_height(len(table), legend=colour is not None))
    )


def histogram(table: pd.DataFrame, column: str, *, step: float, counted: str) -> alt.Chart:
    """Return how many rows of the table fall into each bin of a column."""
    return (
        alt.Chart(table)
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X(f"{column}:Q", bin=alt.Bin(step=step), title=column),
            y=alt.Y("count()", title=counted),
            tooltip=[alt.Tooltip(f"{column}:Q", bin=alt.Bin(step=step)), alt.Tooltip("count()", title=counted)],
        )
        .properties(height=260)
    )


def boxes(
    table: pd.DataFrame, label: str, value: str, series: str | None = None, *, order: Sequence[str] | None = None
) -> alt.Chart:
    """Return a box with whiskers of 1.5 interquartile ranges for each label, or each label and series.

    Args:
        order: of the labels; that of the table where it is None.
    """
    colour: Any = alt.value(BLUE) if series is None else _colour(table, series)
    places = {} if series is None else {"yOffset": alt.YOffset(f"{series}:N", sort=None)}
    return (
        alt.Chart(table)
        .mark_boxplot(size=11, median={"color": "white"}, rule={"color": GREY}, outliers={"size": 8, "opacity": 0.5})
        .encode(
            x=alt.X(f"{value}:Q", title=value),
            y=alt.Y(
                f"{label}:N",
                sort=None if order is None else list(order),
                title=None,
                axis=_names_axis(),
            ),
            color=colour,
            **places,
        )
        .properties(height=_height(len(set(table[label])), row=36 if series is None else 48, legend=series is not None))
    )


def reliability(table: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Return a reliability diagram with its diagonal, where probabilities come true as often as they say.

    Args:
        table: columns `probability, came true, low, high, images, probabilities`.
    """
    unit = alt.Scale(domain=[0, 1])
    diagonal = (
        alt.Chart(pd.DataFrame({"probability": [0.0, 1.0], "came true": [0.0, 1.0]}))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x="probability:Q", y="came true:Q")
    )
    base = alt.Chart(table).encode(
        x=alt.X("probability:Q", scale=unit, title="mean probability of a bin"),
        color=_colour(table, "probabilities", line=True),
    )
    tooltip = ["probabilities:N", *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("probability", "came true"))]
    whiskers = base.mark_rule().encode(y=alt.Y("low:Q", scale=unit, title="share that came true"), y2="high:Q")
    curve = base.mark_line(point=alt.OverlayMarkDef(size=40)).encode(
        y=alt.Y("came true:Q", scale=unit, title="share that came true"),
        strokeDash=_dash(table, "probabilities"),
        tooltip=[*tooltip, "images:Q"],
    )
    return alt.layer(diagonal, whiskers, curve).properties(height=400)


def _colour(table: pd.DataFrame, series: str, *, line: bool = False) -> alt.Color:
    """Return the colours of a column's values, in their order in the table, with a legend above the chart."""
    values = _values(table, series)
    return alt.Color(
        f"{series}:N",
        scale=alt.Scale(domain=values, range=_COLOURS[: len(values)]),
        title=None,
        legend=_legend(values, line=line),
    )


def _dash(table: pd.DataFrame, series: str) -> alt.StrokeDash:
    """Return the dashes of a column's values, in one legend with their colours."""
    values = _values(table, series)
    return alt.StrokeDash(
        f"{series}:N",
        scale=alt.Scale(domain=values, range=_DASHES[: len(values)]),
        title=None,
        legend=_legend(values, line=True),
    )


def _values(table: pd.DataFrame, series: str) -> list[str]:
    return [str(value) for value in dict.fromkeys(table[series])]


def _legend(values: Sequence[str], *, line: bool) -> alt.Legend:
    """Return a legend above the chart; long names stand below each other, as telephones are narrow."""
    columns = 1 if sum(map(len, values)) > _LONG_NAMES else len(values)
    marks: dict[str, Any] = {"symbolType": "stroke", "symbolSize": 400, "symbolStrokeWidth": 2} if line else {}
    return alt.Legend(orient="top", labelLimit=_LABEL_ROOM, columns=columns, **marks)


def _names_axis() -> alt.Axis:
    """Return an axis of names, each of them written at its place."""
    return alt.Axis(labelLimit=_LABEL_ROOM, labelFlush=False, labelOverlap=False)


def _height(rows: int, *, row: int = 30, legend: bool = False) -> int:
    """Return the pixels of a chart of horizontal rows, with its axis and its legend."""
    return row * rows + 60 + (60 if legend else 0)


def melted(table: pd.DataFrame, columns: Mapping[str, str], id_var: str, value: str) -> pd.DataFrame:
    """Return a long table of some columns (name → title): `id_var`, `series` (the title) and the value."""
    parts = [
        pd.DataFrame({id_var: table[id_var].to_numpy(), "series": title, value: table[name].to_numpy(dtype=float)})
        for name, title in columns.items()
        if name in table
    ]
    return pd.concat(parts, ignore_index=True).dropna() if parts else pd.DataFrame(columns=[id_var, "series", value])
