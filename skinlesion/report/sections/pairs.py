"""Paired differences in the primary metric, beside what they would be if images were independent."""

from typing import Any

import pandas as pd

from skinlesion.analysis.columns import LINEAR_METHOD, NAIVE_METHOD
from skinlesion.evaluation.registry import title_of
from skinlesion.report import figures
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.forest import both_widths
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def pairs(results: Results) -> Section:
    """Return a forest plot and a table of all pairs."""
    stats, table = results.params.stats, results.statistics_table("comparisons")
    rows = with_naive(table[table["metric"] == stats.primary])
    svg, drawn = both_widths(
        lambda width: figures.differences(rows, title_of(stats.primary), stats.margins.get(stats.primary), width),
        f"Differences in {title_of(stats.primary)} between pairs of systems",
    )
    html = render(
        "pairs.html.j2",
        drawn=drawn,
        rows=rows,
        confidence=stats.confidence,
        csv=embedded_csv("comparisons", table),
    )
    return Section("Pair by pair", html, {"differences": svg})


def with_naive(primary: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the judged rows of one metric, each with `trained`, the interval of these trained models over lesions,
    `naive`, the same with images taken as independent, and the `design_effect`: the squared ratio of those two widths,
    NaN where the naive interval has none.

    Args:
        primary: the rows of comparisons.csv of one metric.
    """
    by_method = {
        method: {(row["a"], row["b"]): row for row in primary[primary["method"] == method].to_dict("records")}
        for method in (LINEAR_METHOD, NAIVE_METHOD)
    }
    rows = primary[primary["family"] != ""].to_dict("records")
    for row in rows:
        trained, naive = (by_method[method][row["a"], row["b"]] for method in (LINEAR_METHOD, NAIVE_METHOD))
        width = naive["high"] - naive["low"]
        row["trained"], row["naive"] = trained, naive
        row["design_effect"] = ((trained["high"] - trained["low"]) / width) ** 2 if width else float("nan")
    return rows
