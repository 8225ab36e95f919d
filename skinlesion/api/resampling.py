"""`bootstrap`: whole lesions resampled, all models on the same resamples, from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skinlesion.analysis.pair_report import check_same_images
from skinlesion.api.predictions import Source, Truth, as_many, names_of
from skinlesion.errors import UserError, choices, name_some
from skinlesion.evaluation.registry import SCHEMA, title_of
from skinlesion.report.svg import BLUE, INK, row_axes
from skinlesion.stats.bootstrap import Bootstrap
from skinlesion.stats.bootstrap import bootstrap as resample


@dataclass(frozen=True, repr=False)
class Resampled:
    """Metrics of models on the data and on resamples of its lesions.

    Attributes:
        names: of the models.
        resamples: every replicate, with `interval` and `difference` by a model's number.
        confidence: of the intervals.
    """

    names: tuple[str, ...]
    resamples: Bootstrap
    confidence: float

    def to_frame(self) -> pd.DataFrame:
        """Return each metric of each model (`b` empty) and of each pair (b − a), with percentile interval and p."""
        rows = []
        for metric in self.resamples.metrics:
            for number, name in enumerate(self.names):
                result = self.resamples.interval(number, metric, self.confidence)
                rows.append((metric, name, "", result.estimate, result.low, result.high, np.nan))
            for a, b in combinations(range(len(self.names)), 2):
                drawn = self.resamples.difference(a, b, metric, self.confidence)
                pair = (metric, self.names[a], self.names[b])
                rows.append((*pair, drawn.difference, drawn.low, drawn.high, drawn.pvalue))
        return pd.DataFrame(rows, columns=["metric", "a", "b", "value", "low", "high", "p"])

    def plot(self) -> Figure:
        """Return the intervals of the differences, or of one model's metrics where there is one model."""
        table = self.to_frame()
        several = len(self.names) > 1
        selected = table[(table["b"] != "") == several].iloc[::-1]
        drawn, axes = row_axes(len(selected))
        if several:
            axes.axvline(0, color=INK, lw=0.8)
        rows = selected.to_dict("records")
        for place, row in enumerate(rows):
            axes.plot([row["low"], row["high"]], [place, place], color=BLUE, lw=2.4)
            axes.plot(row["value"], place, "o", color=BLUE, ms=6)
        models = [f"{row['b']} − {row['a']}" if several else row["a"] for row in rows]
        labels = [f"{title_of(row['metric'])}: {model}" for row, model in zip(rows, models, strict=True)]
        axes.set_yticks(range(len(selected)), labels, fontsize=8)
        return drawn

    def __repr__(self) -> str:
        return self.to_frame().round(4).to_string(index=False)

    def _repr_html_(self) -> str:
        html: str = self.to_frame().round(4).to_html(index=False, na_rep="")
        return html


def bootstrap(
    *models: Source,
    names: Sequence[str] | None = None,
    truth: Truth | None = None,
    metrics: Sequence[str] = ("balanced_accuracy", "macro_f1", "macro_auc"),
    confidence: float = 0.95,
    replicates: int = 10_000,
    seed: int = 0,
) -> Resampled:
    """Return the bootstrap of lesions of one model, or the paired one of several on the same images.

    Args:
        models: predictions: files, DataFrames, or what `load_predictions` returns.
        names: what to call them.
        metrics: such as "balanced_accuracy" or "sensitivity_mel".
        confidence: of the percentile intervals, in 0 to 1.

    Raises:
        UserError: predictions are wrong or of different images, or a metric is unknown.
    """
    for metric in metrics:
        if metric not in SCHEMA.metrics():
            raise UserError(f"metrics: {name_some([metric])}: unknown; {choices(SCHEMA.metrics(), metric)}")
    if not models:
        raise UserError("bootstrap: give predictions")
    loaded, _ = as_many(models, truth)
    called = names_of(models, names)
    first = loaded[0]
    for name, second in zip(called[1:], loaded[1:], strict=True):
        check_same_images(called[0], first, name, second)
    drawn = resample(
        first.labels, [predictions.probabilities for predictions in loaded], first.lesions, list(metrics), SCHEMA,
        replicates=replicates, seed=seed,
    )  # fmt: skip
    return Resampled(tuple(called), drawn, confidence)
