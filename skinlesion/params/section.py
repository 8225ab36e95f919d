"""What the sections of params.yaml have in common: the base class and types with ranges."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from skinlesion.errors import choices
from skinlesion.folds import FOLDS
from skinlesion.vocabulary import CLASSES

Fold = Annotated[int, Field(ge=0, le=FOLDS - 1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Repeat = Annotated[int, Field(ge=0, le=99)]
Width = Annotated[int, Field(ge=1, le=8192)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Strength = Annotated[float, Field(ge=0, lt=1)] | None
Cost = Annotated[float, Field(ge=0, le=1e6)]


def check_costs(value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return costs (true class → answer → cost); a ValueError names what is no class."""
    named = [*value, *(answer for answers in value.values() for answer in answers)]
    unknown = [name for name in named if name not in CLASSES]
    if unknown:
        raise ValueError(f"{unknown[0]} is not a class; {choices(CLASSES, unknown[0])}")
    return value


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused and values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
