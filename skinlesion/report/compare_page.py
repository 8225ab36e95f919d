"""The page of `skinlesion compare --html`: complete in itself, to be sent on."""

import re
from importlib.resources import files

import numpy as np
from matplotlib.figure import Figure

from skinlesion import __version__
from skinlesion.analysis.columns import NAIVE_METHOD
from skinlesion.analysis.pair_report import ComparisonReport, ComparisonRow
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import interval
from skinlesion.report.comparison_words import answer, basis, judged_row, methods_paragraph, pairs_of, rows_of
from skinlesion.report.svg import BLUE, GREY, INK, ORANGE, row_axes, to_svg
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
            "forest": to_svg(forest_figure(rows)),
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


def forest_figure(rows: list[ComparisonRow]) -> Figure:
    """Return the judged differences b − a with adjusted intervals, the naive ones thin, margins shaded."""
    judged = [row for row in rows if row.verdict and row.low_adjusted is not None][::-1]
    naive = {row.metric: row for row in rows if row.method == NAIVE_METHOD}
    figure, axes = row_axes(max(len(judged), 1))
    figure.set_size_inches(7.6, 1.1 + 0.44 * max(len(judged), 1))  # two lines stand beside each row
    axes.axvline(0, color=INK, lw=0.8)
    for place, row in enumerate(judged):
        if row.margin is not None:
            axes.barh(place, 2 * row.margin, left=-row.margin, height=0.9, color="#e4e4e4", zorder=0)
        colour = BLUE if row.verdict.startswith("higher") else ORANGE if row.verdict.startswith("lower") else INK
        ends = np.array([row.low_adjusted, row.high_adjusted], dtype=float)
        axes.plot(ends, [place, place], color=colour, lw=2.4, solid_capstyle="butt")
        axes.plot(np.array(row.difference, dtype=float), place, "o", color=colour, ms=6)
        if row.metric in naive:
            ends = np.array([naive[row.metric].low, naive[row.metric].high], dtype=float)
            axes.plot(ends, [place - 0.25] * 2, color=GREY, lw=1)
        words = f"{interval(row.difference, row.low_adjusted, row.high_adjusted, signed=True)}\n{row.verdict}"
        axes.annotate(
            words, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=colour,
            annotation_clip=False,
        )  # fmt: skip
    axes.set_yticks(range(len(judged)), [title_of(row.metric) for row in judged], fontsize=9)
    axes.set_xlabel(f"difference, {rows[0].b} − {rows[0].a}; right of 0: {rows[0].b} is better")
    return figure
