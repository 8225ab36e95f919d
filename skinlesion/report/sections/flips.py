"""Images whose answer changes from one system to another, per class."""

from skinlesion.numbers import MINUS, count
from skinlesion.report.section import Section
from skinlesion.report.tables import by_class
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES


def flips(results: Results) -> Section:
    """Return per pair and class how many answers turn wrong and how many turn right."""
    rows = by_class(
        results.statistics_table("flips"),
        lambda row: f"{MINUS}{count(row['lost'])} +{count(row['gained'])}",
    )
    return Section("What changes for people", render("flips.html.j2", rows=rows, classes=CLASSES))
