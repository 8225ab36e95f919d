"""The results table: rows for the page, Markdown for the README, LaTeX for a paper."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from skinlesion.choices import DrawnProtocol, names
from skinlesion.evaluation import registry
from skinlesion.evaluation.registry import places_of, title_of
from skinlesion.numbers import MINUS, MISSING, count, figure, interval_note
from skinlesion.results.system import SystemResult
from skinlesion.vocabulary import CLASSES

#: Signs that LaTeX's usual encodings lack.
#: What a table says of a protocol.
SPLIT_BY = {
    "lesion": "lesion",
    "image": "image",
    "published_80_20": "image, 80/20 as p0 to p2, selected on the reported images",
    "published_80_20_validated": "image, 80/20 as p0 to p2, selected on other images",
    "published_70_15_15": "image, 70/15/15 as p3",
}

_LATEX = {MINUS: "$-$", MISSING: "--", "×": r"$\times$"}


def results_table(systems: list[SystemResult]) -> pd.DataFrame:
    """Return one row of text per system: what it is, and value and interval of each metric of the table."""
    return pd.DataFrame([_row(system) for system in systems])


def _row(system: SystemResult) -> dict[str, str]:
    about = system.description
    split_by = SPLIT_BY[about["protocol"]]
    if len(system.folds) == 1 and about["protocol"] in names(DrawnProtocol):
        split_by += f", fold {system.folds[0]} only"
    row = {
        "experiment": system.name,
        "backbone": about["backbone"],
        "input": about["input"],
        "training": about["training"],
        "split by": split_by,
    }
    return row | {title_of(name): metric_figure(system, name) for name in registry.TABLE}


def metric_figure(system: SystemResult, name: str) -> str:
    """Return a metric of a system with its interval, in the metric's own places."""
    return figure(system.metrics, name, places_of(name))


def markdown(table: pd.DataFrame, described: str) -> str:
    """Return the table with the sentence that says where its figures come from below it."""
    table = table.assign(experiment=[f"`{name}`" for name in table["experiment"]])
    lines = [f"| {' | '.join(table.columns)} |", "|" + "---|" * len(table.columns)]
    lines += [f"| {' | '.join(row)} |" for row in table.itertuples(index=False)]
    return "\n".join([*lines, "", described]) + "\n"


def latex(table: pd.DataFrame, note: str) -> str:
    """Return the table for a paper, with the lines of LaTeX's booktabs; `note` stands below as a comment."""
    text = table.to_latex(index=False, escape=True, column_format="l" * len(table.columns))
    for sign, command in _LATEX.items():
        text = text.replace(sign, command)
    return f"{text}% {note}\n"


def count_models(folds: int, seeds: int, repeats: int = 1) -> str:
    """Return how many models an experiment has: "5 folds × 1 seed", or "3 partitions × 5 folds × 1 seed"."""
    partitions = f"{count(repeats, 'partition')} × " if repeats > 1 else ""
    return f"{partitions}{count(folds, 'fold')} × {count(seeds, 'seed')}"


def averaged_over(repeats: int) -> str:
    """Return in words what figures are means over."""
    return "partitions and seeds" if repeats > 1 else "seeds"


def describe(systems: list[SystemResult], prepared: Mapping[str, Any]) -> str:
    """Return one sentence on data, folds, seeds, intervals and the machine behind the table."""
    notes = systems[0].notes
    kind = "SYNTHETIC data, no finding about patients" if prepared["synthetic"] else "HAM10000"
    runs = sorted({(len(system.folds), len(system.seeds), len(system.repeats)) for system in systems})
    plan = "; ".join(count_models(*counts) for counts in runs)
    averaged = averaged_over(max(repeats for _, _, repeats in runs))
    versions, device = notes["versions"], notes["device"]
    brackets = interval_note(*(system.notes for system in systems))
    return (
        f"{kind}: {count(prepared['images'], 'image')} of {count(prepared['lesions'], 'lesion')} "
        f"at {prepared['image_size']} px; {plan}, "
        f"mean over {averaged} of pooled out-of-fold predictions; in brackets: {brackets}{_approximate(systems)}. "
        f"Made by skinlesion {versions['skinlesion']}, torch {versions['torch']}, timm {versions['timm']} "
        f"on {device['type']} ({count(device['threads'], 'thread')}), images {notes['data']['images_sha256'][:12]}."
    )


def _approximate(systems: list[SystemResult]) -> str:
    """Return which intervals of the table are known to be off, for want of lesions or of trainings; else ""."""
    cautioned = {
        system.name: [name for name in system.notes["approximate"] if name in registry.TABLE] for system in systems
    }
    names = dict.fromkeys(name for of_one in cautioned.values() for name in of_one)
    if not names:
        return ""
    of = ", ".join(system for system, of_one in cautioned.items() if of_one)
    return f" (approximate for {', '.join(map(title_of, names))} of {of}: benchmarks/validity.md)"


def by_class(table: pd.DataFrame, cell: Callable[[dict[Any, Any]], str]) -> list[tuple[str, list[str]]]:
    """Return one line per pair of a table `a, b, dx, …`: its name, and a cell per class, MISSING where it is absent.

    Args:
        cell: a row of the table → its text.
    """
    lines = []
    for (a, b), rows in table.groupby(["a", "b"], sort=False):
        cells = {row["dx"]: cell(row) for row in rows.to_dict("records")}
        lines.append((f"{b} against {a}", [cells.get(dx, MISSING) for dx in CLASSES]))
    return lines
