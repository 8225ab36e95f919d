"""How many lesions an interval or a verdict needs, and when resamples of them say nothing: in words, or "".

The resamples of few lesions are alike: those of one lesion are all the same, an interval of no width. By simulation
(`benchmarks/calibration_validity.md`, the second table), the percentile interval of the sensitivity of a class covers
93 to 100 % from 5 lesions on, provided the resamples vary. Of 4 lesions and fewer it is next to all of 0 to 1, and
resamples lose the class (2 % of them, 5 % of 3 lesions). Of a whole file 20 lesions are the fewest for which a
calibration error has a bin, and an accuracy's interval covers 92 % or more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from skinlesion.errors import name_some
from skinlesion.vocabulary import MALIGNANT

MINIMUM_LESIONS = 20  # of a file
MINIMUM_CLASS_LESIONS = 5  # of a class that a figure is about
MOST_UNDEFINED = 0.05  # share of bootstrap replicates without a value: the rest are another population's

#: Metrics of one class that its own lesions decide; of the others, those without a class (specificity) and with both.
_OF_CLASS = ("sensitivity", "f1", "auc")
_OF_REST = ("specificity", "auc")
#: Metrics that every class present decides.
OF_EVERY_CLASS = ("balanced_accuracy", "macro_f1", "macro_auc")


@dataclass(frozen=True)
class LesionNumbers:
    """How many lesions a file has, of each class and without it; a lesion of two classes counts in both."""

    total: int
    by_class: dict[str, int]
    without: dict[str, int]
    malignant: int
    benign: int

    @classmethod
    def of(cls, labels: np.ndarray, lesions: np.ndarray, classes: Sequence[str]) -> "LesionNumbers":
        """Return the numbers of lesions (N,) of images with labels (N,), positions in `classes`."""
        kinds, codes = np.unique(lesions, return_inverse=True)
        shows = np.zeros((len(kinds), len(classes)), dtype=bool)  # whether a lesion has an image of the class
        shows[codes, labels] = True
        of = {name: shows[:, place] for place, name in enumerate(classes)}
        different = shows.sum(axis=1)
        malignant = np.array([name in MALIGNANT for name in classes])
        return cls(
            total=len(kinds),
            by_class={name: int(column.sum()) for name, column in of.items()},
            without={name: int((different > column).sum()) for name, column in of.items()},
            malignant=int(shows[:, malignant].any(axis=1).sum()),
            benign=int(shows[:, ~malignant].any(axis=1).sum()),
        )


def too_few_lesions(numbers: LesionNumbers, metric: str | None = None) -> str:
    """Return why lesions are too few for an interval or a verdict, "" where they are enough.

    Args:
        metric: a name in metrics.json, such as `sensitivity_mel`; None asks for the file alone.
    """
    if numbers.total < MINIMUM_LESIONS:
        return f"{_lesions(numbers.total)}: fewer than the {MINIMUM_LESIONS} that an interval needs"
    return "" if metric is None else too_few_of(lesions_behind(numbers, metric))


def lesions_behind(numbers: LesionNumbers, metric: str) -> dict[str, int]:
    """Return the kinds of lesions that decide a metric (one class, the rest, every class present) and their numbers."""
    family, _, dx = metric.rpartition("_")
    if metric in OF_EVERY_CLASS:
        return {name: count for name, count in numbers.by_class.items() if count}
    if metric == "malignant_auc":
        return {"malignant": numbers.malignant, "benign": numbers.benign}
    if dx not in numbers.by_class:
        return {}
    behind = {dx: numbers.by_class[dx]} if family in _OF_CLASS else {}
    return behind | ({f"non-{dx}": numbers.without[dx]} if family in _OF_REST else {})


def too_few_of(kinds: Mapping[str, int]) -> str:
    """Return which kinds of lesions ("mel", "benign"; name → number) are too few for a figure about them, or ""."""
    few = [f"{_lesions(count, name)}" for name, count in kinds.items() if count < MINIMUM_CLASS_LESIONS]
    return f"{', '.join(few)}: fewer than the {MINIMUM_CLASS_LESIONS} that an interval needs" if few else ""


def replicates_say_nothing(value: float, low: float, high: float, undefined: int, replicates: int) -> str:
    """Return why an interval from bootstrap replicates is none, "" where it is one.

    Args:
        value: on the data.
        low: of the replicates that have a value, as is `high`; NaN where none has.
        undefined: number of replicates without a value.
    """
    if np.isnan(value) or undefined >= replicates:
        return "no bootstrap replicate has a value"
    if undefined > MOST_UNDEFINED * replicates:
        return f"{undefined:,} of {replicates:,} bootstrap replicates are undefined"
    if np.isclose(low, high, rtol=1e-12, atol=1e-15):
        return "the bootstrap replicates do not vary"
    # By more than rounding: replicates so biased are no picture of the estimate's error.
    slack = 1e-9 * max(abs(low), abs(high))
    if not low - slack <= value <= high + slack:
        return "the bootstrap replicates lie to one side of the value"
    return ""


def interval_warnings(without_interval: Mapping[str, str], approximate: Mapping[str, str]) -> list[str]:
    """Return one line per reason for figures (name → reason) that have no interval, or one known to be off."""
    return [
        *(f"{reason}; no interval of {names}" for reason, names in _by_reason(without_interval)),
        *(f"interval of {names} {reason}" for reason, names in _by_reason(approximate)),
    ]


def _by_reason(reasons: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return ((reason, name_some(group, 4)) for reason, group in names.items())


def _lesions(count: int, kind: str = "") -> str:
    return " ".join(part for part in (f"{count:,}", kind, "lesion" if count == 1 else "lesions") if part)
