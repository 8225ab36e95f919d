"""Confusion matrices of all systems."""

from skinlesion.report import figures
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASSES


def confusion(results: Results) -> Section:
    """Return one confusion matrix per system."""
    drawn = {name: figures.confusion(results.confusion(name), CLASSES) for name in results.shown}
    html = render("confusion.html.j2", matrices=drawn)
    return Section("Confusion matrices", html, {f"confusion_{name}": svg for name, svg in drawn.items()})
