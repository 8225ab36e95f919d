"""`retest`: a reanalysis of published predictions on HAM10000, from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skinlesion.analysis.retest import Retest
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import count, figure
from skinlesion.report.retest_page import published_values
from skinlesion.report.svg import BLUE, GREY, INK, row_axes
from skinlesion.stages.retest import retest_files


@dataclass(frozen=True, repr=False)
class Retested:
    """What is said of published predictions.

    Attributes:
        result: certificate of the images, and tables of models, published figures, pairs and groups.
        metric: the one that pairs are judged by.
    """

    result: Retest
    metric: str

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model with every metric and its interval, the best first."""
        return self.result.models.sort_values(self.metric, ascending=False).set_index("model")

    def pairs(self) -> pd.DataFrame:
        """Return every pair of models, by metric, with difference, interval, adjusted p-value and verdict."""
        return self.result.pairs

    def plot(self) -> Figure:
        """Return the models with their intervals, published values beside."""
        ordered = self.result.models.sort_values(self.metric, ascending=False)
        return _figure(ordered, self.result.figures, self.metric)

    def __repr__(self) -> str:
        content = self.result.certificate
        table = self.to_frame()
        width = max(len(str(name)) for name in table.index)
        lines = [
            f"{name!s:<{width}}  {figure({str(key): value for key, value in row.items()}, self.metric)}"
            for name, row in table.iterrows()
        ]
        images, lesions = count(content["images"], "image"), count(content["lesions"], "lesion")
        return "\n".join([f"{images} of {lesions}; {self.metric.replace('_', ' ')}", *lines])

    def _repr_html_(self) -> str:
        html: str = self.to_frame().round(4).to_html(na_rep="")
        return html


def retest(
    *files: str | Path,
    archive: str | Path | None = None,
    classes: str | Path | None = None,
    train_ids: str | Path | None = None,
    pairs: str | Path | None = None,
    published: str | Path | None = None,
    ours: Sequence[str | Path] = (),
    metric: str = "balanced_accuracy",
    logits: bool = False,
) -> Retested:
    """Reanalyse anyone's predictions on HAM10000: files as they were published, or a folder that holds them.

    Args:
        files: prediction files of one model each, or one folder.
        archive: HAM10000's metadata; by default where `skinlesion prepare` has it.
        classes: a table of class numbers and names.
        train_ids: the images that the models were trained on.
        pairs: the duplicates that `skinlesion audit` listed, to count those among the images.
        published: published figures, one row for each model.
        ours: this project's out-of-fold predictions of the same images, shown beside.
        metric: the metric that pairs are compared by.
        logits: scores are logits.

    Raises:
        UserError: nothing can be read, or images are unknown or differ.
    """
    result = retest_files(
        [Path(file) for file in files], metric, archive=_path(archive), classes=_path(classes),
        training=_path(train_ids), audited=_path(pairs), published=_path(published),
        ours=[Path(path) for path in ours], logits=logits,
    )  # fmt: skip
    return Retested(result, metric)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _figure(models: pd.DataFrame, figures: pd.DataFrame, primary: str) -> Figure:
    """Return the primary metric of every model with its interval, and the published value with its own."""
    rows = models.to_dict("records")[::-1]
    published = published_values(figures, primary)
    figure, axes = row_axes(len(rows))
    for place, row in enumerate(rows):
        axes.plot([row[f"{primary}_low"], row[f"{primary}_high"]], [place, place], color=BLUE, lw=2.4)
        axes.plot(row[primary], place, "o", color=BLUE, ms=6)
        axes.annotate(
            f"{row[primary]:.3f} [{row[f'{primary}_low']:.3f}, {row[f'{primary}_high']:.3f}]", (1.01, place),
            xycoords=("axes fraction", "data"), va="center", fontsize=8, color=INK, annotation_clip=False,
        )  # fmt: skip
        stated = published.get(row["model"])
        if stated is not None:
            if not np.isnan(float(stated["published_low"] or np.nan)):
                limits = [stated["published_low"], stated["published_high"]]
                axes.plot(limits, [place - 0.25] * 2, color=GREY, lw=1)
            axes.plot(stated["published"], place - 0.25, "|", color=GREY, ms=8)
    axes.set_yticks(range(len(rows)), [row["model"] for row in rows], fontsize=8)
    axes.set_xlabel(f"{title_of(primary)}; grey: as published")
    return figure
