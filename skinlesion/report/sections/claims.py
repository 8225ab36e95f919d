"""Published statements, each answered by a paired comparison."""

from collections.abc import Mapping
from typing import Any

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
    counts = table["answer"].str.partition(":")[0].value_counts()
    svg = figures.claims(rows, title_of(stats.primary))
    html = render(
        "claims.html.j2",
        answers=", ".join(f"{many} {answer}" for answer, many in counts.items()),
        svg=svg,
        rows=[row | {"metric": title_of(row["metric"])} for row in rows],
        confidence=stats.confidence,
        record=_record(results.statistics),
    )
    return Section("The claims, answered", html, {"claims": svg})


def _record(statistics: Mapping[str, Any]) -> str:
    """Return in words when claims and margins were fixed, from stats.json."""
    if statistics["claims_note"]:
        return f"When claims and margins were fixed is not recorded ({statistics['claims_note']})."
    fixed = (
        f"Claims and margins were last changed in commit {statistics['claims_commit'][:12]} of "
        f"{statistics['claims_committed']}"
    )
    before = statistics["claims_before_predictions"]
    if before is None:
        return f"{fixed}."
    return f"{fixed}, {'before' if before else 'after'} the predictions that they judge were committed."
