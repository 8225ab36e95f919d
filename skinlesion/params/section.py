"""What the sections of params.yaml have in common: the base class and types with ranges."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from skinlesion.choices import LARGEST_SEED, MOST_REPLICATES, ClassMetric, Metric, names
from skinlesion.errors import choices
from skinlesion.folds import FOLDS
from skinlesion.vocabulary import CLASSES

Fold = Annotated[int, Field(ge=0, le=FOLDS - 1)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Repeat = Annotated[int, Field(ge=0, le=99)]
Width = Annotated[int, Field(ge=1, le=8192)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Strength = Annotated[float, Field(ge=0, lt=1)] | None
Cost = Annotated[float, Field(ge=0, le=1e6)]
Replicates = Annotated[int, Field(ge=100, le=MOST_REPLICATES)]

#: What experiments, ensembles and external data sets are called: names of folders, and words of commands in dvc.yaml.
NAME = r"[a-z0-9_]{1,64}"
NAME_IN_WORDS = "a-z, 0-9 and _, at most 64 characters"


def _check_path(value: Any) -> Any:
    if isinstance(value, str) and not (value.strip() and value.isprintable()):
        raise ValueError("is no path: it is empty, or has characters that cannot be printed")
    return value


def _check_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("is more than one line, or has characters that cannot be printed")
    return value


#: Metrics with an interval, by which models can be compared: all that `evaluation.registry` can resample.
COMPARABLE = (*names(Metric), *(f"{family}_{dx}" for family in names(ClassMetric) for dx in CLASSES))

if TYPE_CHECKING:
    MetricName = str
else:
    #: One of them, such as `macro_f1` or `sensitivity_mel`.
    MetricName = Literal[COMPARABLE]


def _check_distinct(values: list[Any]) -> list[Any]:
    if any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError("lists a value twice")
    return values


Distinct = AfterValidator(_check_distinct)

#: Text for tables and headings. Empty lines and spaces about it, as of YAML's `>`, do not count.
Line = Annotated[str, Field(max_length=500), AfterValidator(str.strip), AfterValidator(_check_line)]

#: The name of a timm model, or its weights.
ModelText = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_check_line)]

#: A path as text.
PathText = Annotated[Path, Field(strict=False), BeforeValidator(_check_path)]


def check_costs(value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return costs (true class → answer → cost); a ValueError names what is no class."""
    named = [*value, *(answer for answers in value.values() for answer in answers)]
    unknown = [name for name in named if name not in CLASSES]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a class; {choices(CLASSES, unknown[0])}")
    return value


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused and values do not change after loading.

    Types are strict: `true`, "3" and 3.0 are no integers, and 1 is no boolean; 3 is a number like 3.0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)
