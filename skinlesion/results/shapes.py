"""What the JSON files of reports/ hold, as `Results` checks them when it reads them back.

A schema names what readers rely on; further entries are kept. Figures whose names depend on the data or the settings
are a `Figures`, which names the file and the remedy where one is missing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired

import pydantic
from typing_extensions import TypedDict

from skinlesion.choices import Protocol
from skinlesion.errors import UserError, shown

#: metrics.json, assessment.json and the figures of one data set: flat, name → value.
FIGURES = Annotated[dict[str, float], pydantic.Field(min_length=1)]

_Count = Annotated[int, pydantic.Field(ge=0)]
_Whole = Annotated[list[int], pydantic.Field(min_length=1)]


class Figures(dict[str, float]):
    """Figures by name; one that is missing raises UserError with the command that writes the file."""

    def __init__(self, content: Mapping[str, float], path: Path, remedy: str) -> None:
        super().__init__(content)
        self._path, self._remedy = path, remedy

    def __missing__(self, name: str) -> float:
        raise UserError(f"{self._path}: {shown(name)} missing; {self._remedy}")


class System(TypedDict):
    """A system in words, for tables."""

    backbone: str
    input: str
    protocol: Protocol
    training: str


class _Data(TypedDict):
    images_sha256: str


class _Versions(TypedDict):
    skinlesion: str
    torch: str
    timm: str


class _Device(TypedDict):
    type: str
    name: str
    threads: int


class Notes(TypedDict):
    """notes.json beside metrics.json."""

    undefined: dict[str, str]
    without_interval: dict[str, str]
    approximate: dict[str, str]
    images: _Count
    lesions: _Count
    folds: _Whole
    seeds: _Whole
    repeats: NotRequired[_Whole]  # older notes have none
    confidence: float
    intervals: str
    source: str
    synthetic: bool
    data: _Data
    system: System
    versions: _Versions
    device: _Device


class _Machine(TypedDict):
    device: dict[str, Any]


class _Config(TypedDict):
    backbone: str
    weights: str
    folds: _Whole
    seeds: _Whole


class RunNotes(Notes):
    """notes.json of an experiment."""

    config: _Config
    evaluated_with: NotRequired[_Machine]
    best_epochs: list[int]
    backbone: dict[str, Any] | None


class EnsembleNotes(Notes):
    """notes.json of an ensemble."""

    ensemble: dict[str, Any]


class ExternalNotes(TypedDict):
    """What an external data set holds: an entry of external/notes.json."""

    images: _Count
    lesions: _Count
    images_by_class: dict[str, _Count]
    removed: dict[str, _Count]
    folds: _Count
    missing: dict[str, float]
    synthetic: bool
    attribution: str
    undefined: dict[str, str]


class _Certificate(TypedDict):
    """What split.json says of one partition."""

    images: _Count
    lesions: _Count
    lesions_across_parts: _Count
    test_images_with_lesion_in_training: Annotated[dict[str, float], pydantic.Field(min_length=1)]
    images_by_part: dict[str, dict[str, _Count]]
    table_sha256: str
    exact_duplicates_across_parts: _Count


class Split(TypedDict):
    """split.json."""

    seed: int
    exact_duplicates: _Count
    lesion: _Certificate
    image: _Certificate


class _Calibration(TypedDict):
    backbone: str
    hash_distance: _Count
    cosine_threshold: float
    false_positive_rate: float
    different_lesion_pairs: _Count
    same_lesion_pairs: _Count
    same_lesion_pairs_found: float


class _CalibrationOfRate(TypedDict):
    cosine_threshold: float
    different_lesion_pairs: _Count
    false_positive_rate: float
    known_pairs_found: _Count
    same_lesion_pairs: _Count
    same_lesion_pairs_found: float


class Audit(TypedDict):
    """audit.json."""

    calibration: _Calibration
    calibration_by_rate: dict[str, _CalibrationOfRate]
    exact_duplicates: _Count
    images: _Count
    lesions: _Count
    known_pairs: _Count
    known_pairs_found: _Count
    lesions_across_parts: _Count
    near_duplicates: _Count
    near_duplicates_across_parts: _Count
    overlap: dict[str, _Count]


class Statistics(TypedDict):
    """stats.json."""

    comparisons: _Count
    verdicts: dict[str, _Count]
    claims: dict[str, _Count]
    margins: dict[str, float]
    one_sided: float | None
    replicates: _Count
    seed: int
    primary: str
    skipped: list[str]
    claims_commit: str
    claims_committed: str
    claims_before_predictions: bool | None
    claims_stood_before: NotRequired[int | None]  # older statistics have none
    claims_note: str


class _FittedRun(TypedDict):
    """What `assess` fitted on one run's validation part."""

    fold: int
    seed: int
    repeat: NotRequired[int]
    calibrator: dict[str, Any]
    conformal: dict[str, Any]
    thresholds: dict[str, dict[str, float | None]]


class AssessmentNotes(TypedDict):
    """notes.json beside assessment.json."""

    images: _Count
    lesions: _Count
    runs: list[_FittedRun]
    classes_with_pooled_conformal_threshold: dict[str, list[str]]
    subgroup_columns_not_in_the_data: list[str]
    confidence: float
    without_interval: dict[str, str]
