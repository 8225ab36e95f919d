"""Figures of the report as SVG text, readable in print and for the colour-blind."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from skinlesion.numbers import count, interval, is_missing, limits, number, percent, points
from skinlesion.report.forest import Line, Row, forest, linear, of_differences, signed_points, verdict_colour
from skinlesion.report.svg import BLUE, GREY, GRID, INK, ON_COLOUR, ORANGE, SHADE, to_svg
from skinlesion.results.system import SystemResult

#: The difference that can be seen on every scale, where no margin was fixed.
_RELEVANT = 0.02
_ARROWS = {"higher": "▲", "lower": "▼", "equal": "="}


def leader_board(groups: Mapping[str, Sequence[SystemResult]], metric: str, title: str, width: int) -> str:
    """Return the metric of every system with its interval, the best of each group on top.

    Args:
        groups: heading → systems that are compared on as many folds. Hollow marks are the leaky protocols.
    """
    rows = []
    for heading, systems in groups.items():
        ordered = sorted(systems, key=lambda system: -system.metrics.get(metric, -np.inf))
        for place, system in enumerate(ordered):
            low, high = (system.metrics.get(f"{metric}_{end}", np.nan) for end in ("low", "high"))
            honest = system.description["protocol"] == "lesion"
            value = system.metrics.get(metric, np.nan)
            rows.append(
                Row(
                    system.name, value, low, high, interval(value, low, high), colour=BLUE if honest else GREY,
                    hollow=not honest, heading=heading if place == 0 and len(groups) > 1 else "",
                )
            )  # fmt: skip
    values = [value for row in rows for value in (row.low, row.value, row.high)]
    scale = linear(values)
    return forest(rows, scale, f"{title}, with interval", lambda tick: f"{tick:.2f}", width, zero=False)


def claims(claimed: Sequence[Mapping[Any, Any]], width: int) -> str:
    """Return every claim with the difference that answers it, its simultaneous interval, its margin, and the answer."""
    rows = []
    for row in claimed:
        words = f"claimed {_ARROWS[row['direction']]} · {row['answer']}"
        defined = not is_missing(row["difference"])
        rows.append(
            Row(
                row["claim"], *_adjusted(row), _arrowed(row) if defined else "no interval",
                f"{row['b']} − {row['a']}", words, verdict_colour(row["answer"], "supported", "contradicted"),
                margin=row["margin"],
            )
        )  # fmt: skip
    return _differences(rows, "difference b − a in points", max_margin(claimed), width)


def differences(pairs: Sequence[Mapping[Any, Any]], title: str, margin: float | None, width: int) -> str:
    """Return a forest plot of paired differences b − a, the largest on top: adjusted intervals, those of these trained
    models and naive ones thin, the margin shaded.

    Colour repeats the verdict, which stands beside it in words.
    """
    rows = []
    for row in sorted(pairs, key=lambda row: -row["difference"]):
        colour = verdict_colour(row["verdict"], "higher", "lower")
        thin = (
            Line(row["trained"]["low"], row["trained"]["high"], colour),
            Line(row["naive"]["low"], row["naive"]["high"]),
        )
        rows.append(
            Row(
                row["b"], *_adjusted(row), _arrowed(row), f"minus {row['a']}", row["verdict"], colour, thin,
                margin=margin,
            )
        )  # fmt: skip
    return _differences(rows, f"difference in {title}, in points", margin, width)


def compared_metrics(compared: Sequence[Mapping[Any, Any]], title: str, width: int) -> str:
    """Return the differences of one pair by metric: adjusted intervals, naive ones thin, each metric's margin shaded.

    Args:
        compared: judged rows with `title`, of the metric, and `naive`, the row of images taken as independent, or None.
    """
    rows = [
        Row(
            row["title"], *_adjusted(row), _arrowed(row), "", row["verdict"],
            verdict_colour(row["verdict"], "higher", "lower"),
            (Line(row["naive"]["low"], row["naive"]["high"]),) if row["naive"] else (), margin=row["margin"],
        )
        for row in compared
    ]  # fmt: skip
    return _differences(rows, title, max_margin(compared), width)


def gains(groups: Mapping[str, Sequence[Mapping[Any, Any]]], title: str, margin: float | None, width: int) -> str:
    """Return what metadata adds to image-only models, by the data that the two are compared on.

    Args:
        groups: heading → rows with `a` (image), `b` (image and metadata), `difference`, `low`, `high` and `verdict`.
    """
    rows = []
    for heading, pairs in groups.items():
        for place, row in enumerate(pairs):
            colour = verdict_colour(row["verdict"], "higher", "lower")
            rows.append(
                Row(
                    row["b"], *_adjusted(row), _arrowed(row), f"minus {row['a']}", row["verdict"], colour,
                    margin=margin, hollow=heading.startswith("leaky"), heading=heading if place == 0 else "",
                )
            )  # fmt: skip
    return _differences(rows, f"gain in {title} from metadata, in points", margin, width)


def groups(records: Sequence[Mapping[Any, Any]], title: str, width: int) -> str:
    """Return a metric of every group with its interval, the groups of a column together; a tick marks the rest of the
    images on the classes that both show, a diamond the worst group of a column.

    Args:
        records: rows of subgroups.csv, one metric; those without a value are left out.
    """
    rows, column = [], ""
    for row in records:
        if is_missing(row["value"]):
            continue
        worst = row["worst"] == "worst"
        reference = None if is_missing(row["rest"]) else row["rest"]
        sizes = f"{count(row['images'], 'image')}, {count(row['lesions'], 'lesion')}"
        heading = str(row["column"]).replace("_", " ") if row["column"] != column else ""
        column = row["column"]
        rows.append(
            Row(
                str(row["group"]), row["value"], row["low"], row["high"],
                interval(row["value"], row["low"], row["high"]), sizes, f"rest {number(reference)}",
                ORANGE if worst else BLUE, reference=reference, diamond=worst,
                heading=heading,
            )
        )  # fmt: skip
    scale = linear(value for row in rows for value in (row.low, row.value, row.high, row.reference or np.nan))
    return forest(rows, scale, title, lambda tick: number(tick, 2), width, zero=scale.low < 0)


def training(histories: Sequence[pd.DataFrame], mean: pd.DataFrame) -> str:
    """Return losses, training accuracy and validation balanced accuracy by epoch: each run thin, the mean over runs
    thick while all of them last.

    Args:
        histories: of each run; columns phase, train_… and validation_….
        mean: history.csv, whose `runs` says how many got as far. The phase of most runs at its first step is shaded
            where another follows.
    """
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    lasting = mean[mean["runs"] == mean["runs"].max()]
    for axes in (top, bottom):
        _plain(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if (mean["phase"] != mean["phase"].iloc[0]).any():
            first = mean[mean["phase"] == mean["phase"].iloc[0]]
            axes.axvspan(first["step"].min() - 0.5, first["step"].max() + 0.5, color=SHADE, lw=0)
    bottom.set_xlabel("epoch")
    panels = (
        (top, "loss", (("train_loss", GREY, "training"), ("validation_loss", BLUE, "validation"))),
        (bottom, "share", (("train_accuracy", GREY, "accuracy, training"),
                           ("validation_balanced_accuracy", BLUE, "balanced accuracy, validation"))),
    )  # fmt: skip
    for axes, label, columns in panels:
        axes.set_ylabel(label)
        for column, colour, words in columns:
            for history in histories:
                if column in history:
                    axes.plot(range(1, len(history) + 1), history[column], color=colour, lw=0.6, alpha=0.55)
            if column in lasting:
                axes.plot(lasting["step"], lasting[column], color=colour, lw=2, label=words)
        axes.legend(frameon=False, fontsize=8)
    return to_svg(figure)


def confusion(matrix: np.ndarray, names: tuple[str, ...]) -> str:
    """Return a confusion matrix (C, C) of counts, shaded by the share of each true class."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    heat_map(axes, share, lambda row, column: f"{percent(share[row, column])}\n{count(int(matrix[row, column]))}", 7)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return to_svg(figure)


def heat_map(axes: Axes, share: np.ndarray, text: Any, size: float) -> None:
    """Draw shares (R, C) as cells of one colour, more or less of it, so that they stand on light and dark ground.

    Args:
        text: row, column → what is written in the cell.
        size: of the text.
    """
    for row, column in np.ndindex(*share.shape):
        strong = float(share[row, column])
        cell = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=BLUE, alpha=strong, lw=0)
        axes.add_patch(cell)
        colour = ON_COLOUR if strong > 0.5 else INK
        axes.text(column, row, text(row, column), ha="center", va="center", fontsize=size, color=colour)
    axes.set_xlim(-0.5, share.shape[1] - 0.5)
    axes.set_ylim(share.shape[0] - 0.5, -0.5)


def max_margin(rows: Iterable[Mapping[Any, Any]]) -> float | None:
    """Return the largest margin of rows; None where they have none."""
    margins = [row["margin"] for row in rows if not is_missing(row["margin"])]
    return max(margins, default=None)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, lw=0.6)


def _adjusted(row: Mapping[Any, Any]) -> tuple[float, float, float]:
    return row["difference"], row["low_adjusted"], row["high_adjusted"]


def _arrowed(row: Mapping[Any, Any]) -> str:
    """Return a difference in points with its interval, after an arrow where the interval leaves out 0."""
    value, low, high = _adjusted(row)
    if is_missing(low) or is_missing(high):
        return points(value, signed=True)
    arrow = "▲" if low > 0 else "▼" if high < 0 else "◇"
    ends = limits(100 * low, 100 * high, 1, signed=True)
    return f"{arrow} {points(value, signed=True)} ({ends})"


def _differences(rows: Sequence[Row], title: str, margin: float | None, width: int) -> str:
    scale = of_differences((value for row in rows for value in (row.low, row.value, row.high)), margin or _RELEVANT)
    title += "" if scale.transform is float else "; compressed far from 0"
    return forest(rows, scale, f"← lower | {title} | higher →", signed_points, width)
