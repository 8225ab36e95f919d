"""The registry of published results: what was published of HAM10000, recomputed from published counts of answers.

An entry is a YAML file in `skinlesion/registry`. Accuracy, balanced accuracy, F1 and figures by class follow from the
counts of answers alone; an entry whose figures do not follow from its counts is refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from ruamel.yaml.error import YAMLError

from skinlesion.analysis.metric_intervals import metric_intervals
from skinlesion.errors import UserError, one_line
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.params.yaml_text import parse_yaml
from skinlesion.reading import fitting, read_text
from skinlesion.stats.counts import Counts
from skinlesion.vocabulary import CLASSES

#: The entries of this package; the stroke tells `code_version` that all files of the folder are read.
FOLDER = Path(__file__).parents[1] / "registry/"
#: The file of that folder that is no entry: what the projects are (`published_projects`).
PROJECTS_NAME = "projects.yaml"

#: Shown of every entry.
HEADLINE = ("accuracy", "balanced_accuracy", "macro_f1")

_MACRO = "macro_"  # before a figure per class: its mean over the classes
_Digits = Annotated[str, pydantic.Field(pattern=r"^\d\.\d{2,6}$")]
_Count = Annotated[int, pydantic.Field(ge=0, le=10**7)]
_Text = Annotated[str, pydantic.Field(min_length=1, max_length=500)]


class _Part(pydantic.BaseModel):  # what all parts of an entry have in common
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class Source(_Part):
    """Where it was published."""

    repository: Annotated[str, pydantic.Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    commit: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{7,40}$")]
    licence: _Text


class Split(_Part):
    """What the images are."""

    unit: Literal["lesion", "image", "unknown"]
    part: _Text


class Differing(_Part):
    """A published figure that does not follow from the counts, and the one that does."""

    published: _Digits
    recomputed: _Digits


class Entry(_Part):
    """One published result.

    Attributes:
        confusion: true class → images answered with each class, in the order of CLASSES.
        by_class: true class → its images, images answered with it, and those of them that are right; where the whole
            matrix was not published.
        figures: metric → digits as printed, or those and the recomputed ones.
        not_recomputed: printed figures for which counts are not enough.
    """

    title: _Text
    source: Source
    predicted: _Text
    split: Split
    note: str = ""
    confusion: dict[str, Annotated[list[_Count], pydantic.Field(min_length=7, max_length=7)]] | None = None
    by_class: dict[str, Annotated[list[_Count], pydantic.Field(min_length=3, max_length=3)]] | None = None
    figures: dict[str, _Digits | Differing]
    not_recomputed: dict[str, _Digits] = {}

    @property
    def table(self) -> np.ndarray:
        """Return the images of each class, those right and those answered with it (3, 7)."""
        if self.confusion is not None:
            matrix = np.array([self.confusion[dx] for dx in CLASSES])
            return np.stack([matrix.sum(axis=1), matrix.diagonal(), matrix.sum(axis=0)])
        assert self.by_class is not None
        images, answered, right = np.array([self.by_class[dx] for dx in CLASSES]).T
        return np.stack([images, right, answered])


@dataclass(frozen=True)
class Checked:
    """An entry with what follows from its counts.

    Attributes:
        values: metric → value.
        intervals: metric of HEADLINE → 95 % limits, images taken as independent; None where the whole matrix is needed
            and not published. None at all of an entry that is wrong.
        wrong: what contradicts the counts, in words.
    """

    name: str
    entry: Entry
    values: dict[str, float]
    intervals: dict[str, tuple[float, float] | None]
    wrong: tuple[str, ...]


def entry_names(folder: Path = FOLDER) -> list[str]:
    """Return the names of a folder's entries, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.name != PROJECTS_NAME)


def read_entries(folder: Path = FOLDER) -> list[Checked]:
    """Return every entry of a folder, checked, by name.

    Raises:
        UserError: a file is no entry.
    """
    return [check(name, read_entry(folder / f"{name}.yaml")) for name in entry_names(folder)]


def read_entry(path: Path) -> Entry:
    """Return an entry.

    Raises:
        UserError: the file is no entry: a field is missing, unknown or of another kind, or a class is.
    """
    remedy = "see docs/registry.md"
    try:
        content = parse_yaml(read_text(path, remedy))
    except YAMLError as error:
        raise UserError(f"{path}: not YAML ({one_line(getattr(error, 'problem', error))}); {remedy}") from None
    entry: Entry = fitting(content, Entry, str(path), remedy)
    counts = entry.confusion if entry.confusion is not None else entry.by_class
    if counts is None or (entry.confusion is not None and entry.by_class is not None):
        raise UserError(f"{path}: confusion or by_class, one of them; {remedy}")
    if tuple(counts) != CLASSES:
        raise UserError(f"{path}: classes are not {', '.join(CLASSES)} in this order; {remedy}")
    return entry


def check(name: str, entry: Entry) -> Checked:
    """Return an entry with its figures recomputed."""
    images, right, answered = entry.table
    if (right > np.minimum(images, answered)).any() or images.sum() != answered.sum():
        problem = "counts: more right than there are images or answers, or other numbers of images and answers"
        return Checked(name, entry, {}, {}, (problem,))
    counts = Counts(*(row[None].astype(float) for row in (images, right, answered)))
    values = {metric: float(function(counts)[0]) for metric, function in SCHEMA.whole.items()}
    for family, function in SCHEMA.by_class.items():
        class_values = function(counts)[0]
        values |= {f"{family}_{dx}": float(value) for dx, value in zip(CLASSES, class_values, strict=True)}
        values.setdefault(f"{_MACRO}{family}", float(class_values.mean()))
    wrong = []
    for metric, printed in entry.figures.items():
        if metric not in values:
            wrong.append(f"{metric}: not a figure that counts give")
        elif isinstance(printed, Differing):
            if not _agrees(printed.recomputed, values[metric]):
                wrong.append(f"{metric}: {printed.recomputed} stated as recomputed, {values[metric]:.6f} recomputed")
            if printed.published == printed.recomputed:
                wrong.append(f"{metric}: published and recomputed are the same; give one")
        elif not _agrees(printed, values[metric]):
            wrong.append(f"{metric}: {printed} printed, {values[metric]:.6f} recomputed")
    return Checked(name, entry, values, {} if wrong else _intervals(entry), tuple(wrong))


def _agrees(printed: str, value: float) -> bool:
    """Return whether digits are those that a value is printed with."""
    return printed == f"{value:.{len(printed.partition('.')[2])}f}"


def _intervals(entry: Entry) -> dict[str, tuple[float, float] | None]:
    """Return the intervals of HEADLINE; only F1 needs to know which wrong answer went to which class."""
    if entry.confusion is not None:
        matrix = np.array([entry.confusion[dx] for dx in CLASSES])
    else:  # accuracies do not ask which wrong class was answered: the next one
        images, right, _ = entry.table
        matrix = np.diag(right) + np.roll(np.diag(images - right), 1, axis=1)
    labels, answers = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    ids = np.array([f"image{number:07d}" for number in range(len(labels))])
    predictions = Predictions(
        ids, ids, labels, np.zeros((1, len(ids)), dtype=int), (0,), (0,), np.eye(len(CLASSES))[answers][None]
    )
    intervals = metric_intervals(predictions, HEADLINE, SCHEMA, 0.95)
    limits: dict[str, Any] = {metric: (interval.low, interval.high) for metric, interval in intervals.items()}
    return limits if entry.confusion is not None else limits | {"macro_f1": None}
