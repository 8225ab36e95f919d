"""Images whose answer changes from one system to another, per class."""

from skinlesion.numbers import MINUS, count
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.section import Section
from skinlesion.report.tables import by_class
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES


def flips(results: Results) -> Section:
    """Return per pair and class how many answers turn wrong and how many turn right."""
    table = results.statistics_table("flips")
    rows = by_class(
        table,
        lambda row: f"{MINUS}{count(row['lost'])} +{count(row['gained'])}",
    )
    html = render("flips.html.j2", rows=rows, classes=CLASSES, csv=embedded_csv("flips", table))
    return Section("Answers that change between models", html)
