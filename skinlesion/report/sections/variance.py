"""Variance components of each difference: seeds, folds, test lesions."""

from skinlesion.evaluation.registry import title_of
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def variance(results: Results) -> Section:
    """Return standard deviations by cause per pair, and how many seeds would decide."""
    table = results.statistics_table("variance")
    causes = ["seed", "fold", "lesion"]
    html = render(
        "variance.html.j2",
        rows=table.assign(**{cause: table[cause] ** 0.5 for cause in causes}).to_dict("records"),
        csv=embedded_csv("variance", table),
        primary=title_of(results.params.stats.primary),
    )
    return Section("Where the uncertainty comes from", html)
