"""The smallest gain in sensitivity that this test set can show, per class."""

from skinlesion.numbers import is_missing, number
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.section import Section
from skinlesion.report.tables import by_class
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES


def power(results: Results) -> Section:
    """Return the detectable gain per pair and class; "none" where no gain would be detected."""
    table = results.statistics_table("detectable")
    html = render(
        "power.html.j2",
        rows=by_class(table, lambda row: "none" if is_missing(row["detectable"]) else number(row["detectable"])),
        classes=CLASSES,
        csv=embedded_csv("detectable", table),
        lesions=dict(zip(table["dx"], table["lesions"], strict=True)),
    )
    return Section("Smallest detectable gain per class", html)
