"""The results table: every system with its metrics, and the leader board."""

from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import count
from skinlesion.report import figures
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.forest import both_widths
from skinlesion.report.section import Section
from skinlesion.report.tables import describe, results_numbers, results_table
from skinlesion.report.templates import render
from skinlesion.results.reader import Results
from skinlesion.results.system import SystemResult


def systems(results: Results) -> Section:
    """Return the leader board as a figure and the results table with links to its files."""
    evaluated, primary = results.systems(), results.params.stats.primary
    table = results_table(evaluated)
    groups = by_folds(evaluated)
    svg, drawn = both_widths(
        lambda width: figures.leader_board(groups, primary, title_of(primary), width),
        f"{title_of(primary)} of every system, with intervals",
    )
    html = render(
        "systems.html.j2",
        drawn=drawn,
        separate=len(groups) > 1,
        header=list(table.columns),
        rows=table.to_numpy().tolist(),
        csv=embedded_csv("results", results_numbers(evaluated)),
        described=describe(evaluated, results.prepared),
    )
    return Section("Results", html, {"leader_board": svg})


def by_folds(systems: list[SystemResult]) -> dict[str, list[SystemResult]]:
    """Return the systems by the number of folds that they were tested on, most first: only within are they ranked."""
    groups: dict[int, list[SystemResult]] = {}
    for system in systems:
        groups.setdefault(len(system.folds), []).append(system)
    return {f"tested on {count(folds, 'fold')}": groups[folds] for folds in sorted(groups, reverse=True)}
