"""Limitations of the results, and their licences."""

from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def limits(results: Results) -> Section:
    """Return the limits of the data, licences, and where the files are."""
    prepared = results.prepared
    rarest = min(prepared["images_by_class"].values())
    return Section("Limits and licence", render("limits.html.j2", prepared=prepared, rarest=rarest))
