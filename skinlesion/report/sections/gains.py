"""What metadata adds to image-only models: at home, in the split by image, and on external data."""

from collections.abc import Iterator
from typing import Any

from skinlesion.evaluation.registry import title_of
from skinlesion.report import figures
from skinlesion.report.forest import both_widths
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.results.selection import twin_of

_HOME, _LEAKY = "internal, split by lesion", "leaky, split by image"
#: What stands for the verdict of a pair that was not compared.
_UNJUDGED = "no interval: not among the pairs of stats.pairs"


def gains(results: Results) -> Section | None:
    """Return a forest plot of every multimodal experiment minus its image-only twin; None without such a pair."""
    stats, groups = results.params.stats, _groups(results)
    if not groups:
        return None
    svg, drawn = both_widths(
        lambda width: figures.gains(groups, title_of(stats.primary), stats.margins.get(stats.primary), width),
        f"Gain in {title_of(stats.primary)} from metadata, by the data that it is measured on",
    )
    return Section("Gain from adding metadata", render("gains.html.j2", drawn=drawn), {"gains": svg})


def _groups(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Return heading → pairs, those with a placebo or an injected leak left out."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for a, b in _pairs(results):
        heading = _HOME if results.params.experiment(b).protocol == "lesion" else _LEAKY
        groups.setdefault(heading, []).append(_at_home(results, a, b))
    for external in results.params.external:
        for a, b in _pairs(results):
            row = _row(results, "external", a, b, external.name)
            if row is not None:
                groups.setdefault(f"external, {external.name}", []).append(row)
    # Honest before leaky before external, whatever comes first in params.yaml.
    order = [name for name in (_HOME, _LEAKY) if name in groups]
    return {name: groups[name] for name in [*order, *(name for name in groups if name not in order)]}


def _pairs(results: Results) -> Iterator[tuple[str, str]]:
    for name in results.shown:
        if name in results.params.experiments:
            settings = results.params.experiment(name)
            twin = twin_of(results.params, name) if settings.uses_metadata and settings.records == "own" else None
            if twin is not None:
                yield twin, name


def _at_home(results: Results, a: str, b: str) -> dict[str, Any]:
    row = _row(results, "comparisons", a, b)
    if row is not None:
        return row
    primary, nan = results.params.stats.primary, float("nan")
    difference = results.metrics(b).get(primary, nan) - results.metrics(a).get(primary, nan)
    return {
        "a": a, "b": b, "difference": difference, "low_adjusted": nan, "high_adjusted": nan, "verdict": _UNJUDGED,
    }  # fmt: skip


def _row(results: Results, table: str, a: str, b: str, external: str | None = None) -> dict[str, Any] | None:
    """Return the judged row of b − a in the primary metric; None where it was not compared in this order."""
    rows = results.statistics_table(table)
    rows = rows[(rows["metric"] == results.params.stats.primary) & (rows["verdict"] != "")]
    if external is not None:
        rows = rows[rows["external"] == external]
    rows = rows[(rows["a"] == a) & (rows["b"] == b)]
    return {str(name): value for name, value in rows.iloc[0].items()} if len(rows) else None
