"""`score`: every metric of one model, from Python."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from skinlesion.api.predictions import Source, Truth, load_with_warnings
from skinlesion.evaluation.predictions import check_lesions
from skinlesion.evaluation.registry import SUMMARY, title_of
from skinlesion.numbers import count, figure, interval_note
from skinlesion.params import EvaluateParams
from skinlesion.report.svg import BLUE, row_axes
from skinlesion.stages.score import score_predictions


@dataclass(frozen=True, repr=False)
class Scores:
    """The metrics of a model.

    Attributes:
        values: metric → value, with `_low` and `_high` where it has an interval, as in metrics.json.
        notes: how they came about: images, lesions, what is undefined and why, warnings.
        assessment: calibration and decisions, where validation predictions were given.
        tables: those of the assessment, by name.
    """

    values: dict[str, float]
    notes: dict[str, Any]
    assessment: dict[str, float] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> float:
        """Return the value of a metric, such as "balanced_accuracy"."""
        return self.values[metric]

    def to_frame(self) -> pd.DataFrame:
        """Return `value`, `low` and `high` of every metric, missing where it has no interval; indexed by its name."""
        figures = self.values | self.assessment
        names = [name for name in figures if not name.endswith(("_low", "_high"))]
        rows = {name: [figures[name], figures.get(f"{name}_low"), figures.get(f"{name}_high")] for name in names}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"], dtype=float)

    def plot(self) -> Figure:
        """Return the main metrics with their intervals."""
        listed = [name for name in SUMMARY if name in self.values][::-1]
        drawn, axes = row_axes(len(listed))
        for place, name in enumerate(listed):
            ends = [self.values.get(f"{name}_{end}", self.values[name]) for end in ("low", "high")]
            axes.plot(ends, [place, place], color=BLUE, lw=2.4)
            axes.plot(self.values[name], place, "o", color=BLUE, ms=6)
        axes.set_yticks(range(len(listed)), [title_of(name) for name in listed], fontsize=9)
        return drawn

    def __repr__(self) -> str:
        images, lesions = count(self.notes["images"], "image"), count(self.notes["lesions"], "lesion")
        listed = [name for name in SUMMARY if name in self.values]
        width = max(len(title_of(name)) for name in listed)
        lines = [f"{title_of(name):<{width}}  {figure(self.values, name)}" for name in listed]
        return "\n".join([f"{images} of {lesions}; {interval_note(self.notes)}", *lines])

    def _repr_html_(self) -> str:
        html: str = self.to_frame().round(4).to_html(na_rep="")
        return html


def score(
    predictions: Source,
    truth: Truth | None = None,
    *,
    validation: Source | None = None,
    metadata: pd.DataFrame | None = None,
) -> Scores:
    """Return every metric of predictions with its interval over lesions, and over trainings where there are several.

    Args:
        predictions: a file, a DataFrame, or what `load_predictions` returns.
        truth: where they lack diagnoses or lesions.
        validation: predictions of validation parts by the same runs: adds all that is fitted on them.
        metadata: `image_id` with age, sex and localization, for subgroups; with `validation`.

    Raises:
        UserError: predictions are wrong, or images of one lesion differ in diagnosis.
    """
    tested, warnings = load_with_warnings(predictions, truth)
    check_lesions(tested, "predictions")
    fitting = None if validation is None else load_with_warnings(validation, truth, validation=True)[0]
    scored = score_predictions(tested, warnings, EvaluateParams(), fitting, metadata)
    return Scores(scored.values, scored.notes, scored.figures, scored.tables)
