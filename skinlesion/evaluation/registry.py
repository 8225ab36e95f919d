"""The metrics: name, title, definition, direction and places of each, and where it is shown.

To add a metric, add an entry to `METRICS`. It then stands in metrics.json; one that is a function of the confusion
matrix also has an interval there and can be given to `skinlesion compare --metric`. The other fields of `Metric` say
where else it appears; params.yaml can name it once it stands in `choices.Metric` (`choices.ClassMetric`, and
`choices.Monitor`). Everything that titles, orders or shows metrics reads this table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skinlesion import choices
from skinlesion.evaluation import reliability
from skinlesion.evaluation.auc import auc, class_aucs
from skinlesion.evaluation.decisions import malignant_positions
from skinlesion.evaluation.figure_names import figure_title
from skinlesion.stats import counts
from skinlesion.stats.counts import CountMetric, Counts, count_answers
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASS_NAMES, CLASSES, MALIGNANT


@dataclass(frozen=True)
class Scored:
    """Labels and probabilities under one training seed: what a metric is a function of."""

    labels: np.ndarray  # (N,) positions in `classes`
    probabilities: np.ndarray  # (N, C), rows sum to one
    classes: tuple[str, ...] = CLASSES
    ece_bins: int = 15  # equal-width bins of the expected calibration error

    @cached_property
    def counts(self) -> Counts:
        """Return the counts (1, C) of the answers, the class with the highest probability."""
        return count_answers(self.labels, self.probabilities.argmax(axis=1), len(self.classes))

    @cached_property
    def aucs(self) -> np.ndarray:
        """Return the one-vs-rest AUC of each class (C,), NaN where it is undefined."""
        return class_aucs(self.labels, self.probabilities)


@dataclass(frozen=True)
class Metric:
    """A metric, defined by exactly one of `counts` and `scored`.

    Attributes:
        name: what it is called in files; a metric per class stands there as `<name>_<class>`.
        title: what it is called in tables and figures.
        counts: Counts (R, C) → (R,), or (R, C) for a metric per class. Such a metric is resampled for intervals.
        scored: Scored → a value, or (C,) for a metric per class; NaN where it is undefined.
        undefined: the reason for a missing value; `{dx}` is the class, `{no_auc}` the classes without AUC.
        places: digits after the point.
        in_table: whether the results table has a column of it; of a metric per class the classes that have one.
        in_card: whether model cards list it.
        in_summary: whether commands print it.
    """

    name: str
    title: str
    counts: CountMetric | None = None
    scored: Callable[[Scored], float | np.ndarray] | None = None
    undefined: str = ""
    per_class: bool = False
    higher_is_better: bool = True
    places: int = 3
    in_table: bool | tuple[str, ...] = False
    in_card: bool = False
    in_summary: bool = False

    def names(self, classes: tuple[str, ...] = CLASSES) -> list[str]:
        """Return what its values are called in files, in the order of `values`."""
        return [f"{self.name}_{dx}" for dx in classes] if self.per_class else [self.name]

    def values(self, scored: Scored) -> np.ndarray:
        """Return its value (1,), or its values (C,); NaN where it is undefined."""
        if self.counts is not None:
            return self.counts(scored.counts).ravel()
        assert self.scored is not None
        return np.atleast_1d(self.scored(scored))

    def reason(self, scored: Scored, dx: str) -> str:
        """Return in words why it has no value, for the class `dx` where it is a metric per class."""
        missing = [name for name, value in zip(scored.classes, scored.aucs, strict=True) if np.isnan(value)]
        return self.undefined.format(dx=dx, no_auc=", ".join(missing))


def _malignant_auc(scored: Scored) -> float:
    """Return the AUC of malignant (akiec, bcc, mel) against benign, of the summed probability of malignant classes."""
    malignant = malignant_positions(scored.classes)
    return auc(np.isin(scored.labels, malignant), scored.probabilities[:, malignant].sum(axis=1))


def _ece(scored: Scored) -> float:
    """Return the expected calibration error of the highest probability, in `ece_bins` bins of equal width."""
    confidence, hit = reliability.top_label(scored.labels, scored.probabilities)
    place = reliability.equal_width(confidence, scored.ece_bins)
    return reliability.calibration_error(confidence, hit, place, scored.ece_bins).value


_NO_AUC = "needs images of the class and of others"

#: Every metric by name, in the order in which tables and cards show them.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "balanced_accuracy", "balanced accuracy", counts.balanced_accuracy,
            in_table=True, in_card=True, in_summary=True,
        ),
        Metric("macro_f1", "macro F1", counts.macro_f1, in_table=True, in_card=True, in_summary=True),
        Metric("weighted_f1", "weighted F1", counts.weighted_f1, in_card=True),
        Metric(
            "macro_auc", "macro AUC", scored=lambda scored: np.mean(scored.aucs), undefined="no AUC for {no_auc}",
            in_table=True, in_card=True, in_summary=True,
        ),
        Metric(
            "malignant_auc", "malignant AUC", scored=_malignant_auc, undefined=_NO_AUC, in_card=True, in_summary=True
        ),
        Metric(
            "sensitivity", "sensitivity", counts.sensitivity, undefined="no {dx} among the images",
            per_class=True, in_table=("mel",),
        ),
        Metric(
            "specificity", "specificity", counts.specificity, undefined="only {dx} among the images", per_class=True
        ),
        Metric("precision", "precision", counts.precision, undefined="{dx} is never predicted", per_class=True),
        Metric("f1", "F1", counts.f1, undefined="{dx} is neither present nor predicted", per_class=True),
        Metric("auc", "AUC", scored=lambda scored: scored.aucs, undefined=_NO_AUC, per_class=True),
        Metric("accuracy", "accuracy", counts.accuracy, in_table=True, in_card=True, in_summary=True),
        Metric("ece", "ECE", scored=_ece, higher_is_better=False),
        Metric(
            "brier", "Brier score", higher_is_better=False,
            scored=lambda scored: reliability.squared_errors(scored.labels, scored.probabilities).mean(),
        ),
        Metric(
            "nll", "log loss", higher_is_better=False,
            scored=lambda scored: reliability.log_losses(scored.labels, scored.probabilities).mean(),
        ),
    )
}  # fmt: skip

#: Names of the validation values that training may stop on.
MONITORED = choices.names(choices.Monitor)

#: Names of the values in the results table, in model cards, and in what commands print.
TABLE = tuple(
    name
    for metric in METRICS.values()
    if metric.in_table
    for name in metric.names(metric.in_table if isinstance(metric.in_table, tuple) else CLASSES)
)
CARD = tuple(metric.name for metric in METRICS.values() if metric.in_card)
SUMMARY = tuple(metric.name for metric in METRICS.values() if metric.in_summary)


def metric_of(name: str) -> Metric:
    """Return the metric of a name in metrics.json: `sensitivity` for `sensitivity_mel`.

    Raises:
        KeyError: there is none.
    """
    if name in METRICS:
        return METRICS[name]
    family, _, dx = name.rpartition("_")
    if dx not in CLASSES or family not in METRICS or not METRICS[family].per_class:
        raise KeyError(name)
    return METRICS[family]


def places_of(name: str) -> int:
    """Return the digits after the point of a name in metrics.json; three for a published metric that we do not have."""
    try:
        return metric_of(name).places
    except KeyError:
        return 3


def title_of(name: str) -> str:
    """Return what tables and figures call a name in metrics.json or assessment.json: "melanoma sensitivity"."""
    if name in METRICS:
        return METRICS[name].title
    try:
        return f"{CLASS_NAMES[name.rpartition('_')[2]]} {metric_of(name).title}"
    except KeyError:
        return figure_title(name)


def make_schema(classes: tuple[str, ...] = CLASSES) -> Schema:
    """Return the schema of the resampling engine: these classes, and every metric that it can resample."""
    resampled = [metric for metric in METRICS.values() if metric.counts is not None]
    return Schema(
        classes,
        tuple(name for name in MALIGNANT if name in classes),
        {metric.name: metric.counts for metric in resampled if not metric.per_class and metric.counts},
        {metric.name: metric.counts for metric in resampled if metric.per_class and metric.counts},
    )


#: The schema of all seven classes; its metrics are those by which models can be compared.
SCHEMA = make_schema()
