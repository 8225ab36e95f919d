"""Paired differences in the primary metric, beside what they would be if images were independent."""

from typing import Any

import pandas as pd

from skinlesion.analysis.columns import BOOTSTRAP_METHOD, NAIVE_METHOD
from skinlesion.evaluation.registry import title_of
from skinlesion.report import figures
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def pairs(results: Results) -> Section:
    """Return a forest plot and a table of all pairs."""
    stats, table = results.params.stats, results.statistics_table("comparisons")
    rows = with_naive(table[table["metric"] == stats.primary])
    svg = figures.differences(rows, title_of(stats.primary), stats.margin)
    html = render("pairs.html.j2", svg=svg, rows=rows, confidence=stats.confidence)
    return Section("Pair by pair", html, {"differences": svg})


def with_naive(primary: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the clustered rows of one metric, each with its `naive` counterpart, which takes images as independent,
    and the `design_effect`: the squared ratio of the two widths, NaN where the naive interval has none.

    Args:
        primary: the rows of comparisons.csv of one metric.
    """
    rows = primary[primary["method"] == BOOTSTRAP_METHOD].to_dict("records")
    naive = {(row["a"], row["b"]): row for row in primary[primary["method"] == NAIVE_METHOD].to_dict("records")}
    for row in rows:
        counterpart = naive[row["a"], row["b"]]
        width = counterpart["high"] - counterpart["low"]
        row["naive"] = counterpart
        row["design_effect"] = ((row["high"] - row["low"]) / width) ** 2 if width else float("nan")
    return rows
