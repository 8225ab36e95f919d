"""Published statements, each answered by a paired comparison."""

from skinlesion.evaluation.registry import title_of
from skinlesion.report import figures
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def claims(results: Results) -> Section | None:
    """Return every claim with the difference that answers it; None where params.yaml has no claims."""
    table, stats = results.statistics_table("claims"), results.params.stats
    if table.empty:
        return None
    rows = table.to_dict("records")
    counts = table["answer"].value_counts()
    svg = figures.claims(rows, title_of(stats.primary), stats.margin)
    html = render(
        "claims.html.j2",
        answers=", ".join(f"{many} {answer}" for answer, many in counts.items()),
        svg=svg,
        rows=rows,
    )
    return Section("The claims, answered", html, {"claims": svg})
