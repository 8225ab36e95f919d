"""Every pair, metric and method of the statistics in one table."""

from skinlesion.evaluation.registry import title_of
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def comparisons(results: Results) -> Section:
    """Return comparisons.csv as a table, and which pairs were not compared."""
    table = results.statistics_table("comparisons")
    rows = table.assign(metric=table["metric"].map(title_of)).to_dict("records")
    html = render("comparisons.html.j2", rows=rows, skipped=results.statistics["skipped"])
    return Section("All comparisons", html)
