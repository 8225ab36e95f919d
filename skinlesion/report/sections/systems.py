"""The results table: every system with its metrics, and the leader board."""

from skinlesion.evaluation.registry import title_of
from skinlesion.report import figures
from skinlesion.report.section import Section
from skinlesion.report.tables import describe, results_table
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def systems(results: Results) -> Section:
    """Return the leader board as a figure and the results table with links to its files."""
    evaluated, primary = results.systems(), results.params.stats.primary
    table = results_table(evaluated)
    svg = figures.leader_board(evaluated, primary, title_of(primary))
    html = render(
        "systems.html.j2",
        svg=svg,
        header=list(table.columns),
        rows=table.to_numpy().tolist(),
        folders=[results.folder(system.name).relative_to(results.workspace.reports).as_posix() for system in evaluated],
        described=describe(evaluated, results.prepared),
    )
    return Section("Results", html, {"leader_board": svg})
