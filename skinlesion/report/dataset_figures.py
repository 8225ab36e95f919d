"""Figures of the data set's page, as SVG text."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skinlesion.numbers import count, percent
from skinlesion.report.figures import heat_map
from skinlesion.report.svg import BLUE, INK, LIGHT, row_axes, to_svg


def class_counts(classes: pd.DataFrame) -> str:
    """Return images and lesions of each class as bars; columns `dx, images, lesions`."""
    figure, axes = row_axes(len(classes))
    figure.set_figwidth(5.4)
    rows = classes.iloc[::-1].reset_index(drop=True)
    axes.barh(rows.index, rows["images"], color=LIGHT, height=0.7)
    axes.barh(rows.index, rows["lesions"], color=BLUE, height=0.34)
    for place, row in rows.iterrows():
        axes.annotate(
            f"{count(row['images'])} / {count(row['lesions'])}",
            (row["images"], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_xlim(0, 1.25 * max(rows["images"].max(), 1))
    axes.set_yticks(rows.index, rows["dx"])
    axes.set_xlabel("images / lesions")
    return to_svg(figure)


def ages(values: Mapping[str, np.ndarray]) -> str:
    """Return one box per class of ages in years."""
    names = list(values)[::-1]
    figure, axes = row_axes(max(len(names), 1))
    figure.set_figwidth(5.4)
    if names:
        axes.boxplot(
            [values[name] for name in names],
            positions=range(len(names)),
            orientation="horizontal",
            widths=0.55,
            manage_ticks=False,
            medianprops={"color": INK, "lw": 1.6},
            boxprops={"color": BLUE},
            whiskerprops={"color": BLUE},
            capprops={"color": BLUE},
            flierprops={"marker": ".", "ms": 3, "mec": LIGHT},
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("age in years")
    return to_svg(figure)


def shares(counts: pd.DataFrame) -> str:
    """Return a heat map of counts (values of a field in rows, classes in columns) as shares of each class."""
    matrix = counts.to_numpy(dtype=float)
    share = matrix / np.maximum(matrix.sum(axis=0, keepdims=True), 1)
    figure = Figure(figsize=(6.4, 0.9 + 0.3 * len(counts)), layout="constrained")
    axes = figure.add_subplot()
    heat_map(axes, share, lambda row, column: percent(share[row, column]), 8)
    axes.set_xticks(range(counts.shape[1]), list(counts.columns))
    axes.set_yticks(range(len(counts)), [str(name) for name in counts.index])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    return to_svg(figure)
