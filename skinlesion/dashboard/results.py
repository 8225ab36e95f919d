"""What the stages wrote, read once a change: every page takes its figures from here."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.data.store import IMAGES_NAME, PREPARED_NAME, open_images
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.files import read_csv, read_json
from skinlesion.params import Params, load_params
from skinlesion.stages.contracts import ASSESSMENT_NAME, METRICS_NAME, NOTES_NAME, PREDICTIONS_NAME
from skinlesion.stages.workspace import Workspace


@dataclass(frozen=True)
class Results:
    """A workspace as the dashboard sees it; what is missing raises UserError with the command that makes it."""

    params: Params
    workspace: Workspace

    @classmethod
    def open(cls, path: Path) -> "Results":
        """Return the workspace of a params.yaml."""
        return cls(load_params(path), Workspace(path.resolve().parent))

    @property
    def synthetic(self) -> bool:
        path = self.workspace.prepared / PREPARED_NAME
        return bool(path.exists() and read_json(path, "run `skinlesion prepare`")["synthetic"])

    @cached_property
    def metadata(self) -> pd.DataFrame:
        """Return the prepared table."""
        return read_metadata(self.workspace.prepared / METADATA_NAME)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self.metadata["image_id"])}

    def photograph(self, image_id: str) -> np.ndarray:
        """Return a prepared image (S, S, 3) uint8."""
        return np.asarray(open_images(self.workspace.prepared / IMAGES_NAME)[self._rows[image_id]])

    def evaluated(self) -> list[str]:
        """Return the systems that have results."""
        return [name for name in self.params.systems if (self._folder(name) / METRICS_NAME).exists()]

    def _folder(self, name: str) -> Path:
        return self.workspace.system(self.params, name)

    def metrics(self, name: str) -> dict[str, float]:
        """Return metrics.json."""
        found: dict[str, float] = read_json(self._folder(name) / METRICS_NAME, _remedy(name))
        return found

    def notes(self, name: str) -> dict[str, Any]:
        """Return notes.json."""
        found: dict[str, Any] = read_json(self._folder(name) / NOTES_NAME, _remedy(name))
        return found

    def predictions(self, name: str) -> Predictions:
        """Return predictions.csv."""
        path = self._folder(name) / PREDICTIONS_NAME
        read_csv(path, ("image_id",), _remedy(name), nrows=1)
        return _predictions(str(path), path.stat().st_mtime)

    def history(self, name: str) -> pd.DataFrame:
        """Return history.csv, the mean training curve."""
        return read_csv(self._folder(name) / "history.csv", ("step",), _remedy(name))

    def assessment(self, name: str) -> dict[str, float]:
        """Return assessment.json."""
        found: dict[str, float] = read_json(
            self.workspace.assessment(name) / ASSESSMENT_NAME, f"run `skinlesion assess {name}`"
        )
        return found

    def assessed(self, name: str, table: str) -> pd.DataFrame:
        """Return one of the assessment's tables."""
        path = self.workspace.assessment(name) / f"{table}.csv"
        return read_csv(path, (), f"run `skinlesion assess {name}`")

    def comparisons(self) -> pd.DataFrame:
        """Return comparisons.csv."""
        return read_csv(self.workspace.reports / "stats" / "comparisons.csv", ("a", "b"), "run `skinlesion stats`")


@st.cache_data(show_spinner="Reading predictions", max_entries=4)
def _predictions(path: str, changed: float) -> Predictions:
    return read_predictions(Path(path))[0]


def _remedy(name: str) -> str:
    return f"run `dvc repro`, or `skinlesion evaluate --experiment {name}`"


def choose(label: str, results: Results, key: str, index: int = 0) -> str | None:
    """Show a list of the systems that have results and return the one chosen; say what to run where there is none."""
    names = results.evaluated()
    if not names:
        st.info("No results yet: run `dvc repro`.")
        return None
    chosen: str | None = st.selectbox(label, names, index=min(index, len(names) - 1), key=key)
    return chosen
