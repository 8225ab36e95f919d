"""What `skinlesion retest` wrote: where it lies in a workspace, and its figures as they are read back."""

from pathlib import Path
from typing import Annotated, Any

import pydantic
from typing_extensions import TypedDict

from skinlesion.reading import read_json
from skinlesion.results.workspace import Workspace

#: The name of every file that `retest` writes, before its ending.
RETEST_STEM = "retest"

_RETEST = "run `skinlesion retest FILES` first"
_Count = Annotated[int, pydantic.Field(ge=0)]
_Value = float | None


class _Certificate(TypedDict):
    """Which images were judged."""

    images: _Count
    lesions: _Count
    images_of_lesions_with_others_outside: _Count
    images_of_trained_lesions: _Count | None


class _Model(TypedDict):
    model: str
    balanced_accuracy: _Value
    balanced_accuracy_low: _Value
    balanced_accuracy_high: _Value


class RetestFigure(TypedDict):
    """A published figure and the recomputed one."""

    model: str
    column: str
    equal: bool
    published: float
    recomputed: _Value
    bootstrap_mean: _Value


class RetestPair(TypedDict):
    """Two models compared by a metric."""

    a: str
    b: str
    metric: str
    difference: _Value
    low: _Value
    high: _Value
    p: _Value
    p_holm: _Value
    published_p: _Value
    verdict: str


class RetestContent(TypedDict):
    """retest.json: tables of `analysis.retest.Retest` as rows, None where there is no value."""

    certificate: _Certificate
    models: Annotated[list[_Model], pydantic.Field(min_length=1)]
    figures: list[RetestFigure]
    pairs: list[RetestPair]
    groups: list[dict[str, Any]]


def find_retests(workspace: Workspace) -> dict[str, Path]:
    """Return folder → retest.json of every retest in the workspace: in `retest`, or another folder up to two deep."""
    name = f"{RETEST_STEM}.json"
    paths = sorted(path for pattern in (f"*/{name}", f"*/*/{name}") for path in workspace.root.glob(pattern))
    return {path.parent.relative_to(workspace.root).as_posix(): path for path in paths}


def read_retest(path: Path) -> RetestContent:
    """Return the content of a retest.json.

    Raises:
        UserError: it cannot be read, or is not what `retest` writes.
    """
    content: RetestContent = read_json(path, _RETEST, RetestContent)
    return content
