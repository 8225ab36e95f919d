"""The results table: rows for the page, Markdown for the README, LaTeX for a paper."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from skinlesion.choices import DrawnProtocol, names
from skinlesion.evaluation import registry
from skinlesion.evaluation.registry import places_of, title_of
from skinlesion.numbers import MINUS, MISSING, count, figure, interval_note, limits, number
from skinlesion.report.prediction_words import source_name
from skinlesion.report.svg import without_control_characters
from skinlesion.results.system import SystemResult
from skinlesion.vocabulary import CLASSES

#: What a table says of a protocol.
SPLIT_BY = {
    "lesion": "lesion",
    "image": "image",
    "published_80_20": "image, 80/20 as p0 to p2, selected on the reported images",
    "published_80_20_validated": "image, 80/20 as p0 to p2, selected on other images",
    "published_70_15_15": "image, 70/15/15 as p3",
}

#: Metrics of the table for a paper, which is as wide as a page.
_PAPER = ("balanced_accuracy", "macro_f1", "macro_auc")
#: What LaTeX reads as its own, and signs that its usual encodings lack.
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", MINUS: "$-$", MISSING: "--", "×": r"$\times$",
    "→": r"$\to$", "“": "``", "”": "''",
}  # fmt: skip


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


def results_numbers(systems: list[SystemResult]) -> pd.DataFrame:
    """Return one row per system for further computation: what it is, and NAME, NAME_low and NAME_high of each metric
    of the table as numbers.
    """
    rows = []
    for system in systems:
        row: dict[str, Any] = {
            "experiment": system.name,
            **{name: system.description[name] for name in ("backbone", "input", "training", "protocol")},
            "folds": len(system.folds),
            "seeds": len(system.seeds),
            "repeats": len(system.repeats),
        }
        for name in registry.TABLE:
            row |= {key: system.metrics.get(key, float("nan")) for key in (name, f"{name}_low", f"{name}_high")}
        rows.append(row)
    return pd.DataFrame(rows)


def latex(systems: list[SystemResult], described: str) -> str:
    """Return the table for a paper, a float with caption and label, in the lines of LaTeX's booktabs.

    Values stand in a column that is aligned to the right, intervals beside them in one aligned to the left: with equal
    places the points are aligned. Columns are what a paper needs; all of them are in results.csv.
    """
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{latex_text(described)}}}",
        r"\label{tab:results}",
        rf"\begin{{tabular}}{{@{{}}lll{'r@{ }l' * len(_PAPER)}@{{}}}}",
        r"\toprule",
        " & ".join(
            ["experiment", "input", "split by"]
            + [rf"\multicolumn{{2}}{{c}}{{{latex_text(title_of(name))}}}" for name in _PAPER]
        )
        + r" \\",
        r"\midrule",
    ]
    for system in systems:
        about = _row(system)
        cells = [latex_text(about[name]) for name in ("experiment", "input", "split by")]
        for name in _PAPER:
            places, low, high = places_of(name), system.metrics.get(f"{name}_low"), system.metrics.get(f"{name}_high")
            ends = limits(low, high, places)
            cells += [
                latex_text(number(system.metrics.get(name), places)),
                latex_text("" if ends == MISSING else f"({ends})"),
            ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def latex_text(text: str) -> str:
    """Return words as LaTeX sets them, whatever they hold."""
    return "".join(_LATEX.get(letter, letter) for letter in without_control_characters(text))


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
    kind = "SYNTHETIC data, no finding about patients" if prepared["synthetic"] else source_name(prepared["source"])
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
    names = dict.fromkeys(name for metrics in cautioned.values() for name in metrics)
    if not names:
        return ""
    listed = ", ".join(system for system, metrics in cautioned.items() if metrics)
    return f" (approximate for {', '.join(map(title_of, names))} of {listed}: benchmarks/validity.md)"


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
