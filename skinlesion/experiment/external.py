"""External validation: data sets that nothing was trained on, predicted by the mean over an experiment's folds."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.splits import independent_groups
from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.reading import read_csv
from skinlesion.results.names import OVERLAP_COLUMNS, OVERLAP_NAME
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS, UNKNOWN


@dataclass
class ExternalData:
    """An external data set without what it shares with the training data, and the sum of predictions so far."""

    name: str
    inputs: Inputs
    rows: np.ndarray  # (n,) rows of its table that are predicted
    removed: dict[str, int]  # reason → images left out because they are in the training data
    sums: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)  # (repeat, seed) → (n, 7)
    folds: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))  # → models added

    @classmethod
    def open(cls, trained_on: Inputs, name: str) -> "ExternalData":
        """Return a prepared external data set, as the experiment that `trained_on` belongs to sees it.

        Raises:
            UserError: it is not prepared, was not audited, or every image of it is in the training data.
        """
        workspace = trained_on.workspace
        inputs = trained_on.sharing_backbone(workspace=workspace.outside(name))
        if not inputs.workspace.prepared.is_dir():
            raise UserError(f"external.{name}: not prepared; run `skinlesion prepare --external {name}`")
        overlap = read_csv(
            workspace.audit / OVERLAP_NAME, OVERLAP_COLUMNS, "run `skinlesion audit` first", dtype={"image_id": str}
        )
        overlap = overlap[overlap["external"] == name]
        rows = np.flatnonzero(~inputs.table["image_id"].isin(overlap["image_id"]).to_numpy())
        if not len(rows):
            raise UserError(f"external.{name}: every image of it is in the training data; remove it from params.yaml")
        removed = {str(reason): int(count) for reason, count in overlap["reason"].value_counts().items()}
        return cls(name, inputs, rows, removed)

    def add(self, model: TrainedRun) -> None:
        """Add what the model of one fold predicts."""
        layer = (model.run.repeat, model.run.seed)
        self.sums[layer] = self.sums.get(layer, 0) + model.of_rows(self.rows, self.inputs)[0]
        self.folds[layer] += 1

    @property
    def table(self) -> pd.DataFrame:
        return self.inputs.table.iloc[self.rows].reset_index(drop=True)

    def predictions(self) -> pd.DataFrame:
        """Return one row per image, repeat and seed, its probabilities the mean over folds."""
        columns = ["image_id", "lesion_id", "dx"]
        clustered = self.table.assign(lesion_id=independent_groups(self.table))
        parts = []
        for (repeat, seed), total in sorted(self.sums.items()):
            part = clustered[columns].assign(seed=seed, repeat=repeat)
            part[list(PROBABILITY_COLUMNS)] = total / self.folds[repeat, seed]
            parts.append(part.sort_values("image_id"))
        order = ["image_id", "lesion_id", "seed", "repeat", "dx", *PROBABILITY_COLUMNS]
        return pd.concat(parts, ignore_index=True)[order]

    def describe(self) -> dict[str, Any]:
        """Return counts, the share of images without each metadata field, and where the data set comes from."""
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
