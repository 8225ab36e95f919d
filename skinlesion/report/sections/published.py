"""Published systems: what they reported, and their settings on their split, chosen on other images, and by lesion."""

from typing import Any

import numpy as np

from skinlesion.analysis.published_results import FOLDER, Checked, Differing, check, entry_names, read_entry
from skinlesion.choices import DrawnProtocol, names
from skinlesion.errors import UserError, choices, name_some
from skinlesion.evaluation.predictions import ABSENT, Predictions
from skinlesion.evaluation.registry import METRICS, Scored, places_of, title_of
from skinlesion.numbers import interval, number
from skinlesion.params import PublishedParams
from skinlesion.report.section import Section
from skinlesion.report.tables import metric_figure
from skinlesion.report.templates import render
from skinlesion.results.reader import Results

#: Figures of an entry of the registry that are shown.
_SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")


def published(results: Results) -> Section | None:
    """Return one row per published system; None where params.yaml names none.

    Raises:
        UserError: an entry that is named is not in the registry.
    """
    rows = [_row(place, system, results) for place, system in enumerate(results.params.published)]
    title = "Published systems: as reported, reproduced, and split by lesion"
    return Section(title, render("published.html.j2", rows=rows)) if rows else None


def _row(place: int, system: PublishedParams, results: Results) -> dict[str, Any]:
    """Return the metrics that were published, and balanced accuracy where it was not among them."""
    if system.entry is None:
        values, intervals = dict(system.published), {}
    else:
        checked = _checked(system.entry, f"published.{place}.entry")
        printed = {name: checked.entry.figures[name] for name in _SHOWN if name in checked.entry.figures}
        # Where the counts give the printed digits, they give further ones, which round better.
        values = {
            name: float(figure.published) if isinstance(figure, Differing) else checked.values[name]
            for name, figure in printed.items()
        }
        intervals = {
            name: limits
            for name, limits in checked.intervals.items()
            if limits is not None and not isinstance(printed.get(name), Differing)
        }
    metrics = list(dict.fromkeys([*values, "balanced_accuracy"]))
    return {
        "system": system.system,
        "setting": system.setting,
        "note": system.note,
        "published": [_figure(name, value, intervals.get(name)) for name, value in values.items()],
        "columns": [
            _cell(system.reproduced, metrics, results, values),
            _cell(system.validated, metrics, results, {}, _absent(system, results)),
            _cell(system.honest, metrics, results, {}),
        ],
    }


def _absent(system: PublishedParams, results: Results) -> str:
    """Return what stands for a system without a rebuild that is chosen on other images than it reports."""
    if system.reproduced is None:
        return "not yet run"
    protocol = results.system(system.reproduced).description["protocol"]
    return "not yet run" if protocol == "published_80_20" else "as reproduced: chosen on other images already"


def _checked(entry: str, field: str) -> Checked:
    known = entry_names()
    if entry not in known:
        raise UserError(f"params.yaml: {field}: no entry {name_some([entry])} in the registry; {choices(known, entry)}")
    return check(entry, read_entry(FOLDER / f"{entry}.yaml"))


def _figure(name: str, value: float, limits: tuple[float, float] | None) -> str:
    places = places_of(name)
    text = number(value, places) if limits is None else interval(value, *limits, places)
    return f"{title_of(name)} {text}"


def _cell(
    name: str | None, metrics: list[str], results: Results, published: dict[str, float], absent: str = "not yet run"
) -> dict[str, Any]:
    """Return an experiment's figures, and where published ones lie among those of its seeds."""
    if name is None:
        return {"experiment": "", "figures": [absent]}
    system = results.system(name)
    figures = []
    for metric in metrics:
        line = f"{title_of(metric)} {metric_figure(system, metric)}"
        if metric in published and metric in METRICS and len(system.seeds) > 1:
            line += f"; {_place_among_seeds(published[metric], metric, results.predictions(name))}"
        figures.append(line)
    if len(system.folds) == 1 and system.description["protocol"] in names(DrawnProtocol):
        figures.append(f"fold {system.folds[0]} only")
    return {"experiment": name, "figures": figures}


def _place_among_seeds(published: float, metric: str, predictions: Predictions) -> str:
    """Return whether a published figure lies within, above or below those of the seeds, in words."""
    places, values = places_of(metric), []
    for folds, probabilities in zip(predictions.folds, predictions.probabilities, strict=True):
        held = folds != ABSENT
        values.append(METRICS[metric].values(Scored(predictions.labels[held], probabilities[held])).item())
    low, high = np.min(values), np.max(values)
    where = "within" if low <= published <= high else "above" if published > high else "below"
    return f"the published figure lies {where} those of the seeds ({number(low, places)} to {number(high, places)})"
