"""External data sets: what they hold, every experiment's figures on them, and the pairs compared on them."""

from typing import Any

from skinlesion.evaluation.registry import title_of
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def external(results: Results) -> Section | None:
    """Return one part per external data set; None where params.yaml names none."""
    sets = [_set(results, external.name) for external in results.params.external]
    if not sets:
        return None
    html = render(
        "external.html.j2",
        sets=sets,
        csv=embedded_csv("external", results.statistics_table("external")),
        primary=title_of(results.params.stats.primary),
        confidence=results.params.evaluate.confidence,
    )
    return Section("External data", html)


def _set(results: Results, name: str) -> dict[str, Any]:
    experiments = [name for name in results.params.experiments if name in results.shown]
    table = results.statistics_table("external")
    mask = (table["external"] == name) & (table["metric"] == results.params.stats.primary)
    pairs = table[mask & (table["verdict"] != "")]
    return {
        "name": name,
        "about": results.external_notes(experiments[0], name),
        "rows": [
            {"name": experiment, "folds": results.external_notes(experiment, name)["folds"]}
            | results.external_figures(experiment, name)
            for experiment in experiments
        ],
        "pairs": pairs.to_dict("records"),
    }
