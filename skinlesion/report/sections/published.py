"""Published systems: what they reported, the same reproduced with the leaky split, and with the honest one."""

from typing import Any

from skinlesion.evaluation.registry import places_of, title_of
from skinlesion.numbers import number
from skinlesion.params import PublishedParams
from skinlesion.report.section import Section
from skinlesion.report.tables import metric_figure
from skinlesion.report.templates import render
from skinlesion.results.reader import Results


def published(results: Results) -> Section | None:
    """Return one row per published system; None where params.yaml names none."""
    rows = [_row(system, results) for system in results.params.published]
    return Section("Published, reproduced, honest", render("published.html.j2", rows=rows)) if rows else None


def _row(system: PublishedParams, results: Results) -> dict[str, Any]:
    """Return the metrics that were published, and balanced accuracy where it was not among them."""
    metrics = list(dict.fromkeys([*system.published, "balanced_accuracy"]))
    return {
        "system": system.system,
        "setting": system.setting,
        "note": system.note,
        "published": [f"{title_of(name)} {number(value, places_of(name))}" for name, value in system.published.items()],
        "reproduced": _cell(system.reproduced, metrics, results),
        "honest": _cell(system.honest, metrics, results),
    }


def _cell(name: str | None, metrics: list[str], results: Results) -> dict[str, Any]:
    if name is None:
        return {"experiment": "", "figures": ["not yet run"]}
    system = results.system(name)
    figures = [f"{title_of(metric)} {metric_figure(system, metric)}" for metric in metrics]
    if len(system.folds) == 1:
        figures.append(f"fold {system.folds[0]} only")
    return {"experiment": name, "figures": figures}
