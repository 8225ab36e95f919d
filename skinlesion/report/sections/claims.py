"""Published statements, each answered in a sentence and by a paired comparison."""

from collections.abc import Mapping
from typing import Any

from skinlesion.analysis.published_projects import projects_named, read_projects
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import points
from skinlesion.report import figures
from skinlesion.report.claim_words import claim_sentence, multiplicity_words
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.forest import both_widths
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def claims(results: Results) -> Section | None:
    """Return every claim with the difference that answers it; None where params.yaml has no claims."""
    table, params = results.statistics_table("claims"), results.params
    if table.empty:
        return None
    rows = table.to_dict("records")
    counts = table["answer"].str.partition(":")[0].value_counts()
    projects = read_projects()
    named = projects_named([*table["source"], *(system.system for system in params.published)], projects)
    svg, drawn = both_widths(
        lambda width: figures.claims(rows, width), f"{len(rows)} claims: differences with simultaneous intervals"
    )
    html = render(
        "claims.html.j2",
        answers=", ".join(f"{count} {answer}" for answer, count in counts.items()),
        sentences=[claim_sentence(row, params, projects) for row in rows],
        statements=multiplicity_words(params, len(rows)),
        drawn=drawn,
        rows=[row | {"metric": title_of(row["metric"])} for row in rows],
        projects={name: projects[name] for name in named},
        margin=points(params.stats.margins.get(params.stats.primary)),
        confidence=params.stats.confidence,
        record=_record(results.statistics),
        csv=embedded_csv("claims", table),
    )
    parts = {f"claim-{place}": f"{row['claim']}: {row['answer']}" for place, row in enumerate(rows, start=1)}
    return Section("The claims, answered", html, {"claims": svg}, parts)


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
    stood = statistics.get("claims_stood_before")
    if not before and stood:
        claims = sum(statistics["claims"].values())
        return f"{fixed}; {stood} of the {claims} stood before the predictions that they judge were committed."
    return f"{fixed}, {'before' if before else 'after'} the predictions that they judge were committed."
