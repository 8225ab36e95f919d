"""`compare`: classifiers on the same images, from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skinlesion.analysis.pair_report import ComparisonReport, report_pairs
from skinlesion.api.predictions import Source, Truth, as_many, names_of
from skinlesion.errors import UserError
from skinlesion.evaluation.registry import title_of
from skinlesion.report.compare_page import compare_page, comparison_forest
from skinlesion.report.comparison_words import answers, comparison_lines, pairs_of, rows_of
from skinlesion.report.forest import verdict_colour
from skinlesion.report.svg import INK, SHADE, row_axes
from skinlesion.stages.compare import PAGE_MARK, default_plan


@dataclass(frozen=True, repr=False)
class Comparison:
    """A comparison of two or more models.

    Attributes:
        report: every figure, as `skinlesion compare --json` prints them.
    """

    report: ComparisonReport

    @property
    def answers(self) -> list[str]:
        """Return the sentence that answers each pair, about the primary metric."""
        return answers(self.report)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair, metric and method, with the columns of reports/stats/comparisons.csv."""
        return pd.DataFrame([row.model_dump() for row in self.report.comparisons])

    def to_html(self) -> str:
        """Return the page of `skinlesion compare --html`, complete in itself."""
        return compare_page(self.report, PAGE_MARK)

    def plot(self, pair: tuple[str, str] | None = None) -> Figure:
        """Return the differences of a pair (by default the first) with their intervals and margins.

        Raises:
            UserError: there is no such pair.
        """
        pairs = pairs_of(self.report)
        pair = pairs[0] if pair is None else pair
        if pair not in pairs:
            raise UserError(f"pair {pair}: give one of {pairs}")
        rows = [row for row in rows_of(self.report, pair) if row.verdict and row.low_adjusted is not None][::-1]
        drawn, axes = row_axes(len(rows))
        axes.axvline(0, color=INK, lw=0.8)
        for place, row in enumerate(rows):
            if row.margin is not None:
                axes.barh(place, 2 * row.margin, left=-row.margin, height=0.9, color=SHADE, zorder=0)
            colour = verdict_colour(row.verdict, "higher", "lower")
            ends = np.array([row.low_adjusted, row.high_adjusted], dtype=float)
            axes.plot(ends, [place, place], color=colour, lw=2.4)
            axes.plot(np.array(row.difference, dtype=float), place, "o", color=colour, ms=6)
        axes.set_yticks(range(len(rows)), [title_of(row.metric) for row in rows], fontsize=9)
        axes.set_xlabel(f"difference, {pair[1]} − {pair[0]}")
        return drawn

    def __repr__(self) -> str:
        return "\n".join(comparison_lines(self.report))

    def _repr_html_(self) -> str:
        parts = [
            f"<p><strong>{escape(sentence)}</strong></p>{comparison_forest(rows_of(self.report, pair))}"
            for sentence, pair in zip(self.answers, pairs_of(self.report), strict=True)
        ]
        return "".join(parts)


def compare(
    *models: Source,
    names: Sequence[str] | None = None,
    truth: Truth | None = None,
    metrics: Sequence[str] | None = None,
    cluster: str = "lesion_id",
    margin: float | None = None,
    replicates: int | None = None,
    permutations: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare every pair of models that were tested on the same images; differences are second − first.

    Args:
        models: two or more predictions: files, DataFrames, or what `load_predictions` returns.
        names: what to call them; by default after their files.
        truth: for files and DataFrames that lack diagnoses or lesions.
        metrics: the first is the primary one; by default balanced accuracy, macro F1 and macro AUC.
        cluster: "lesion_id", or "none" to take images as independent.
        margin: the smallest difference of the primary metric that matters, in units of the metric.
        replicates: of the bootstrap; by default 10,000, fewer beyond 20,000 images.
        permutations: of the permutation test; 0 leaves it out.

    Raises:
        UserError: predictions are wrong, or of different images.
    """
    if len(models) < 2:
        raise UserError("compare: give two or more predictions")
    plan = default_plan(
        metrics, cluster=cluster, margin=margin, replicates=replicates, permutations=permutations, seed=seed
    )
    loaded, warnings = as_many(models, truth)
    called = names_of(models, names)
    return Comparison(report_pairs(dict(zip(called, loaded, strict=True)), cluster, plan, warnings))
