"""What metadata adds to each multimodal experiment."""

from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import figure
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.headlines import REPORT_METADATA
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.results.selection import twin_of


def metadata(results: Results) -> Section | None:
    """Return each multimodal experiment beside its image-only twin; None without such an experiment."""
    rows = [
        (name, twin_of(results.params, name) or "none", [figure(values, key, None) for key in REPORT_METADATA])
        for name, values in results.metadata_value.items()
    ]
    if not rows:
        return None
    html = render(
        "metadata.html.j2",
        header=[title_of(key) for key in REPORT_METADATA],
        rows=rows,
        csv=embedded_csv("missing", results.metadata_table("missing")),
    )
    return Section("What metadata adds", html)
