"""Training curves of the experiments shown in detail."""

from skinlesion.report import figures
from skinlesion.report.section import Section
from skinlesion.report.templates import render
from skinlesion.results.further import run_histories
from skinlesion.results.reader import Results


def training(results: Results) -> Section | None:
    """Return losses and accuracies by epoch; None without an experiment to show."""
    curves = [
        (name, figures.training(run_histories(results, name), results.history(name))) for name in results.best.values()
    ]
    return Section("Training", render("training.html.j2", curves=curves)) if curves else None
