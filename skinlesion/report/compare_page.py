"""The page of `skinlesion compare --html`: complete in itself, to be sent on."""

import re
from collections.abc import Sequence
from functools import partial
from importlib.resources import files

from skinlesion import __version__
from skinlesion.analysis.columns import NAIVE_METHOD
from skinlesion.analysis.pair_report import ComparisonReport, ComparisonRow
from skinlesion.evaluation.registry import title_of
from skinlesion.report.comparison_words import answer, basis, judged_row, methods_paragraph, pairs_of, rows_of
from skinlesion.report.figures import compared_metrics
from skinlesion.report.forest import WIDE, both_widths
from skinlesion.report.templates import render
from skinlesion.vocabulary import CLASS_NAMES


def compare_page(report: ComparisonReport, mark: str) -> str:
    """Return the page of a comparison: answers, forest plot, tables, flips, methods, references, and its JSON.

    Args:
        mark: a comment that tells pages of this kind from others.
    """
    paragraph = methods_paragraph(report)
    pairs = []
    for pair in pairs_of(report):
        key = f"{pair[0]} vs {pair[1]}"
        rows = rows_of(report, pair)
        pairs.append({
            "a": pair[0],
            "b": pair[1],
            "answer": answer(judged_row(report, pair, report.primary), report.confidence),
            "forest": both_widths(partial(comparison_forest, rows), f"Differences between {pair[1]} and {pair[0]}")[1],
            "rows": rows,
            "effects": {
                title_of(name.partition(": ")[2]): effect
                for name, effect in report.design_effect.items()
                if name.startswith(f"{key}: ")
            },
            "flips": report.flips[key],
        })  # fmt: skip
    return render(
        "compare.html.j2",
        mark=mark,
        report=report,
        pairs=pairs,
        basis=basis(report),
        titles={row.metric: title_of(row.metric) for row in report.comparisons},
        class_names=CLASS_NAMES,
        paragraph=paragraph,
        references=references(paragraph),
        json=report.model_dump_json().replace("<", "\\u003c"),  # a name ends no script
        version=__version__,
    )


def references(paragraph: str) -> str:
    """Return the BibTeX entries of the [keys] that a paragraph cites, in the order of references.bib."""
    cited = {key for keys in re.findall(r"\[([a-z0-9, ]+)\]", paragraph) for key in keys.split(", ")}
    entries = files("skinlesion.report").joinpath("references.bib").read_text(encoding="utf-8").splitlines()
    return "\n".join(entry for entry in entries if entry.partition("{")[2].partition(",")[0] in cited)


def comparison_forest(rows: Sequence[ComparisonRow], width: int = WIDE) -> str:
    """Return the judged differences b − a of a pair with the intervals that their verdicts agree with, the naive ones
    thin, margins shaded.
    """
    naive = {row.metric: row.model_dump() for row in rows if row.method == NAIVE_METHOD}
    judged = [row.model_dump() for row in rows if row.verdict and row.low_adjusted is not None]
    titled = [row | {"title": title_of(row["metric"]), "naive": naive.get(row["metric"])} for row in judged]
    return compared_metrics(titled, f"difference, {rows[0].b} − {rows[0].a}, in points", width)
