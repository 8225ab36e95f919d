"""Figures of assessments as SVG text: reliability, decision curves, risk and coverage, subgroups, missing metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skinlesion.report.svg import BLUE, GREY, GRID, INK, LIGHT, ORANGE, to_svg

#: Colours and lines of the models shown, in their order.
_STYLES = ((BLUE, "-"), (ORANGE, "--"), (INK, ":"), (GREY, "-."))
_SIZE = (4.6, 3.5)


def _axes(x: str, y: str, size: tuple[float, float] = _SIZE) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def reliability(table: pd.DataFrame, series: str, title: str) -> str:
    """Return a reliability diagram of one model, before and after calibration; marks grow with the images behind them.

    Args:
        table: reliability.csv.
        series: top, malignant or melanoma.
    """
    figure, axes = _axes(f"mean probability, {title}", "share that came true", (4.2, 4.2))
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8)
    for state, colour in (("uncalibrated", LIGHT), ("calibrated", BLUE)):
        name = f"{series}_{state}"
        x, y = table[f"confidence_{name}"], table[f"observed_{name}"]
        limits = np.abs(np.stack([y - table[f"observed_{name}_low"], table[f"observed_{name}_high"] - y]))
        sizes = 12 + 60 * table[f"images_{name}"] / max(table[f"images_{name}"].max(), 1)
        axes.errorbar(x, y, yerr=np.nan_to_num(limits), fmt="none", ecolor=colour, lw=1)
        axes.plot(x, y, color=colour, lw=1)
        axes.scatter(x, y, s=sizes, color=colour, label=state, zorder=3)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return to_svg(figure)


def decision(tables: Mapping[str, pd.DataFrame], target: str) -> str:
    """Return decision curves of several models (decision_curve.csv of each), with treating all and none."""
    figure, axes = _axes(f"risk of {_words(target)} at which one acts", "net benefit, cases found per image")
    first = next(iter(tables.values()))
    axes.plot(first["threshold"], first[f"{target}_treat_all"], color=GREY, lw=1, label="act on all")
    axes.axhline(0, color=GREY, lw=1, ls=":", label="act on none")
    for (name, table), (colour, line) in zip(tables.items(), _STYLES, strict=False):
        axes.fill_between(
            table["threshold"], table[f"{target}_low"], table[f"{target}_high"], color=colour, alpha=0.15, lw=0
        )
        axes.plot(table["threshold"], table[target], color=colour, ls=line, lw=1.6, label=name)
    top = first[f"{target}_treat_all"].iloc[0]
    axes.set_ylim(-0.15 * top, 1.1 * top)
    axes.set_xlim(0, 0.8)
    axes.legend(frameon=False, fontsize=8)
    return to_svg(figure)


def lines(tables: Mapping[str, pd.DataFrame], x: str, y: str, x_title: str, y_title: str) -> str:
    """Return one column of several models' tables over another; a table without it is left out."""
    figure, axes = _axes(x_title, y_title)
    for (name, table), (colour, line) in zip(tables.items(), _STYLES, strict=False):
        if y in table:
            axes.plot(table[x], table[y], color=colour, ls=line, lw=1.6, label=name)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None)
    axes.legend(frameon=False, fontsize=8)
    return to_svg(figure)


def missing(table: pd.DataFrame, metric: str, title: str) -> str:
    """Return a model's metric as metadata go missing, with its image-only twin.

    Args:
        table: the rows of missing.csv of one experiment.
    """
    figure, axes = _axes("share of metadata missing", title)
    rows = table[(table["missing_in"] == "all") & (table["metric"] == metric)]
    for (what, label), (colour, line) in zip(
        (("record", "whole records missing"), ("each field", "each field by itself")),
        (_STYLES[1], _STYLES[2]),
        strict=True,
    ):
        curve = rows[rows["missing"] == what]
        axes.fill_between(curve["rate"], curve["low"], curve["high"], color=colour, alpha=0.15, lw=0)
        axes.plot(curve["rate"], curve["value"], color=colour, ls=line, lw=1.6, label=label)
    twin = rows["twin_value"].iloc[0] if len(rows) else float("nan")
    if not np.isnan(twin):
        axes.axhline(twin, color=BLUE, lw=1.4, label="image-only twin")
    axes.set_xlim(0, 1)
    axes.legend(frameon=False, fontsize=8)
    return to_svg(figure)


def shares(rows: Sequence[Mapping[Any, Any]], metrics: Mapping[str, str]) -> str:
    """Return what each field adds to some metrics (name → title) as bars with intervals; rows of shapley.csv."""
    fields = list(dict.fromkeys(row["field"] for row in rows))
    figure, axes = _axes("", "added, Shapley value", (6.4, 3.2))
    width = 0.8 / max(len(fields), 1)
    for number, (field, (colour, _)) in enumerate(zip(fields, ((BLUE, ""), (ORANGE, ""), (GREY, "")), strict=False)):
        by_metric = {row["metric"]: row for row in rows if row["field"] == field}
        bars = [by_metric[name] for name in metrics]
        place = np.arange(len(metrics)) + (number - (len(fields) - 1) / 2) * width
        values = np.array([row["value"] for row in bars])
        limits = np.abs([[row["value"] - row["low"] for row in bars], [row["high"] - row["value"] for row in bars]])
        axes.bar(
            place,
            values,
            width,
            yerr=np.nan_to_num(limits),
            color=colour,
            ecolor=INK,
            error_kw={"lw": 0.8},
            label=field,
        )
    axes.axhline(0, color=INK, lw=0.8)
    axes.set_xticks(range(len(metrics)), list(metrics.values()), fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    return to_svg(figure)


def _words(target: str) -> str:
    return "malignancy" if target == "malignant" else target
