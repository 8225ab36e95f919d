"""External validation: data sets that nothing was trained on, predicted by the mean over an experiment's folds."""

import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import FLOAT_FORMAT, read_predictions, restrict_classes
from skinlesion.files import read_csv, write_csv, write_json
from skinlesion.params import EvaluateParams, SplitParams, TrainParams
from skinlesion.stages.contracts import (
    EXTERNAL_FOLDER,
    EXTERNAL_NAME,
    EXTERNAL_NOTES_NAME,
    OVERLAP_COLUMNS,
    OVERLAP_NAME,
)
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.results import SCHEMA, summarise
from skinlesion.stages.workspace import Workspace
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES, MALIGNANT, PROBABILITY_COLUMNS, UNKNOWN

#: What a model would be asked in use: all seven classes are open, though the data show some of them alone.
_OPEN = ("balanced_accuracy", "accuracy")


@dataclass
class OutsideData:
    """An external data set without what it shares with the training data, and the predictions so far."""

    name: str
    inputs: Inputs
    rows: np.ndarray  # (n,) rows of its table that are predicted
    removed: dict[str, int]  # reason → images left out because they are in the training data
    sums: dict[int, np.ndarray] = field(default_factory=dict)  # seed → (n, 7)
    folds: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # seed → models added

    @classmethod
    def open(cls, workspace: Workspace, name: str, train: TrainParams, split: SplitParams) -> "OutsideData":
        """Return a prepared external data set.

        Raises:
            UserError: it is not prepared, was not audited, or every image of it is in the training data.
        """
        inputs = Inputs(workspace.outside(name), train, split)
        if not inputs.workspace.prepared.is_dir():
            raise UserError(f"external.{name}: not prepared; run `skinlesion prepare --external {name}`")
        overlap = read_csv(
            workspace.audit / OVERLAP_NAME, OVERLAP_COLUMNS, "run `skinlesion audit` first", dtype={"image_id": str}
        )
        overlap = overlap[overlap["external"] == name]
        rows = np.flatnonzero(~inputs.table["image_id"].isin(overlap["image_id"]).to_numpy())
        if not len(rows):
            raise UserError(f"external.{name}: every image of it is in the training data; take it out of params.yaml")
        removed = {str(reason): int(count) for reason, count in overlap["reason"].value_counts().items()}
        return cls(name, inputs, rows, removed)

    def add(self, seed: int, probabilities: np.ndarray) -> None:
        """Take in the probabilities (n, 7) of one fold's model."""
        self.sums[seed] = self.sums.get(seed, 0) + probabilities
        self.folds[seed] += 1

    @property
    def table(self) -> pd.DataFrame:
        return self.inputs.table.iloc[self.rows].reset_index(drop=True)

    def predictions(self) -> pd.DataFrame:
        """Return one row an image and seed, its probabilities the mean over folds."""
        columns = ["image_id", "lesion_id", "dx"]
        parts = []
        for seed, total in sorted(self.sums.items()):
            part = self.table[columns].assign(seed=seed)
            part[list(PROBABILITY_COLUMNS)] = total / self.folds[seed]
            parts.append(part.sort_values("image_id"))
        order = ["image_id", "lesion_id", "seed", "dx", *PROBABILITY_COLUMNS]
        return pd.concat(parts, ignore_index=True)[order]

    def describe(self) -> dict[str, Any]:
        """Return what the data set is, and what it lacks: a share of 1 says that no image has the field."""
        table = self.table
        counts = {dx: int((table["dx"] == dx).sum()) for dx in CLASSES}
        missing = {
            "age": table["age"].isna(),
            "sex": table["sex"] == UNKNOWN,
            "localization": table["localization"] == UNKNOWN,
        }
        return {
            "images": len(table),
            "lesions": int(table["lesion_id"].nunique()),
            "images_by_class": {dx: count for dx, count in counts.items() if count},
            "removed": self.removed,
            "folds": max(self.folds.values()),
            "missing": {name: float(mask.mean()) for name, mask in missing.items()},
            "synthetic": self.inputs.described["synthetic"],
            "attribution": self.inputs.described["attribution"],
        }


def write_external(out: Path, outside: list[OutsideData], settings: EvaluateParams) -> None:
    """Write `out`/external.json and `out`/external/: predictions of each data set and what it is."""
    folder = out / EXTERNAL_FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # a data set that is no longer named leaves nothing behind
    figures, notes = {}, {}
    for data in outside:
        write_csv(folder / f"{data.name}.csv", data.predictions(), float_format=FLOAT_FORMAT)
        figures[data.name], undefined = _score(folder / f"{data.name}.csv", settings)
        notes[data.name] = data.describe() | {"undefined": undefined}
    write_json(folder / EXTERNAL_NOTES_NAME, notes)
    write_json(out / EXTERNAL_NAME, figures)


def _score(path: Path, settings: EvaluateParams) -> tuple[dict[str, float], dict[str, str]]:
    """Return the metrics of an external predictions file among the classes it shows, and reasons for what has none.

    `open_…` are the same with all seven classes to choose from, as in use.
    """
    predictions, _ = read_predictions(path)
    present = tuple(name for position, name in enumerate(CLASSES) if (predictions.labels == position).any())
    schema = Schema(present, tuple(name for name in MALIGNANT if name in present))
    values, notes = summarise(restrict_classes(predictions, present), settings, schema)
    wanted = [*_OPEN, *(f"sensitivity_{name}" for name in present)]
    resampled = bootstrap(
        predictions.labels,
        [predictions.probabilities],
        predictions.lesions,
        wanted,
        SCHEMA,
        replicates=settings.replicates,
        seed=settings.seed,
    )
    for name in wanted:
        interval = resampled.interval(0, name, settings.confidence)
        values[f"open_{name}"] = interval.estimate
        values[f"open_{name}_low"], values[f"open_{name}_high"] = interval.low, interval.high
    values["images"], values["lesions"] = notes["images"], notes["lesions"]
    return values, notes["undefined"]
