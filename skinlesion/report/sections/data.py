"""The images, how they were split, and what the audit found."""

from skinlesion.report.embedded import embedded_csv
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES


def data(results: Results) -> Section:
    """Return counts per class, both splits' leakage, duplicates, and how far shortcuts alone go."""
    shortcuts = results.shortcuts
    html = render(
        "data.html.j2",
        prepared=results.prepared,
        classes=CLASSES,
        split=results.split,
        audit=results.audit,
        csv=embedded_csv("shortcuts", shortcuts),
        shortcuts=shortcuts[shortcuts["balanced_accuracy"].notna()].to_dict("records"),
    )
    return Section("Data and split", html)
