"""One evaluated system, an experiment or an ensemble: its metrics and the notes on how they came about."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SystemResult:
    """Content of metrics.json and notes.json of one system."""

    name: str
    metrics: dict[str, float]
    notes: dict[str, Any]

    @property
    def description(self) -> dict[str, str]:
        """Return `backbone`, `input`, `protocol` and `training` in words."""
        description: dict[str, str] = self.notes["system"]
        return description

    @property
    def folds(self) -> list[int]:
        """Return the test folds that the metrics are pooled over."""
        folds: list[int] = self.notes["folds"]
        return folds

    @property
    def seeds(self) -> list[int]:
        """Return the training seeds that the metrics are averaged over."""
        seeds: list[int] = self.notes["seeds"]
        return seeds

    @property
    def repeats(self) -> list[int]:
        """Return the repeats of the partition that the metrics are averaged over; older notes have but one."""
        repeats: list[int] = self.notes.get("repeats", [0])
        return repeats

    @property
    def is_ensemble(self) -> bool:
        return "ensemble" in self.notes
