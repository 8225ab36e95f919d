"""Figures of the report as SVG text, readable in print and for the colour-blind."""

from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skinlesion.numbers import count, percent
from skinlesion.report.svg import BLUE, GREY, INK, ORANGE, row_axes, to_svg
from skinlesion.results.system import SystemResult


def leader_board(systems: list[SystemResult], metric: str, title: str) -> str:
    """Return the metric of every system with its interval, best on top; hollow marks are the leaky protocol."""
    ordered = sorted(systems, key=lambda system: system.metrics[metric])
    figure, axes = row_axes(len(ordered))
    for row, system in enumerate(ordered):
        low, high = (system.metrics.get(f"{metric}_{end}", np.nan) for end in ("low", "high"))
        honest = system.description["protocol"] == "lesion"
        colour = BLUE if honest else GREY
        axes.plot([low, high], [row, row], color=colour, lw=2)
        axes.plot(system.metrics[metric], row, "o", color=colour, mfc=colour if honest else "white", ms=7)
    axes.set_yticks(range(len(ordered)), [_label(system) for system in ordered])
    axes.set_xlabel(f"{title}, with interval")
    return to_svg(figure)


def claims(rows: list[dict[Any, Any]], title: str) -> str:
    """Return every claim with the difference that answers it, its simultaneous interval, its margin, and the answer."""
    figure, axes = row_axes(len(rows))
    figure.set_size_inches(9.6, 1.1 + 0.46 * len(rows))
    axes.axvline(0, color=INK, lw=0.8)
    for place, row in enumerate(reversed(rows)):
        colour = _colour(row["answer"], "supported", "contradicted")
        axes.barh(place, 2 * row["margin"], left=-row["margin"], height=1.0, color="#eeeeee", zorder=0)
        if row["difference"] == row["difference"]:
            limits = [row["low_adjusted"], row["high_adjusted"]]
            axes.plot(limits, [place, place], color=colour, lw=2.4, solid_capstyle="butt")
            axes.plot(row["difference"], place, "o", color=colour, ms=6)
        _beside(axes, place, row["answer"], colour)
    axes.set_yticks(range(len(rows)), ["\n".join(wrap(row["claim"], 54)) for row in reversed(rows)], fontsize=8)
    axes.set_xlabel(f"difference in {title}, with interval")
    return to_svg(figure)


def _colour(text: str, good: str, bad: str) -> str:
    """Return the colour of a verdict or an answer, by its first word."""
    return BLUE if text.startswith(good) else ORANGE if text.startswith(bad) else INK


def _beside(axes: Any, place: float, text: str, colour: str) -> None:
    """Write the words of a row to the right of the axes."""
    words = "\n".join(wrap(text, 26))
    axes.annotate(words, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=colour)


def training(history: pd.DataFrame) -> str:
    """Return losses, training accuracy and validation balanced accuracy by step.

    The frozen phase is shaded where another follows.
    """
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd", lw=0.6)
        axes.set_xlabel("epoch, mean over runs")
        if (history["phase"] != history["phase"].iloc[0]).any():
            first = history[history["phase"] == history["phase"].iloc[0]]
            axes.axvspan(first["step"].min() - 0.5, first["step"].max() + 0.5, color="#eeeeee", lw=0)
    for column, colour, label in (("train_loss", GREY, "training"), ("validation_loss", BLUE, "validation")):
        if column in history:
            left.plot(history["step"], history[column], color=colour, label=label)
    left.set_ylabel("loss")
    left.legend(frameon=False, fontsize=8)
    shown = (("train_accuracy", GREY, "accuracy, training"),
             ("validation_balanced_accuracy", BLUE, "balanced accuracy, validation"))  # fmt: skip
    for column, colour, label in shown:
        if column in history:
            right.plot(history["step"], history[column], color=colour, label=label)
    right.set_ylabel("share")
    right.legend(frameon=False, fontsize=8)
    return to_svg(figure)


def _label(system: SystemResult) -> str:
    """Return a system's name, with its fold where it was tested on one alone."""
    return system.name if len(system.folds) > 1 else f"{system.name}, fold {system.folds[0]}"


def differences(pairs: list[dict[Any, Any]], title: str, margin: float | None) -> str:
    """Return a forest plot of paired differences b − a: adjusted intervals, those of these trained models and naive
    ones thin, the margin shaded.

    Colour repeats the verdict, which stands beside it in words.
    """
    figure, axes = row_axes(len(pairs), label_room=0.44)
    if margin is not None:
        axes.axvspan(-margin, margin, color="#eeeeee", lw=0)
    axes.axvline(0, color=INK, lw=0.8)
    rows = pairs[::-1]
    for place, row in enumerate(rows):
        colour = _colour(row["verdict"], "higher", "lower")
        limits = [row["low_adjusted"], row["high_adjusted"]]
        axes.plot(limits, [place, place], color=colour, lw=2.4, solid_capstyle="butt")
        axes.plot([row["trained"]["low"], row["trained"]["high"]], [place - 0.18] * 2, color=colour, lw=1)
        axes.plot([row["naive"]["low"], row["naive"]["high"]], [place - 0.32] * 2, color=GREY, lw=1)
        axes.plot(row["difference"], place, "o", color=colour, ms=6)
        _beside(axes, place, row["verdict"], colour)
    axes.set_yticks(range(len(rows)), [f"{row['b']}\nminus {row['a']}" for row in rows], fontsize=8)
    axes.set_xlabel(f"difference in {title}, with interval")
    return to_svg(figure)


def confusion(matrix: np.ndarray, names: tuple[str, ...]) -> str:
    """Return a confusion matrix (C, C) of counts, shaded by the share of each true class."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*matrix.shape):
        colour = "white" if share[row, column] > 0.55 else INK
        text = f"{percent(share[row, column])}\n{count(int(matrix[row, column]))}"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return to_svg(figure)
