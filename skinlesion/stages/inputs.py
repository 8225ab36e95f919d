"""What train and evaluate both read: prepared images and table, the split, frozen features."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.data.splits import assign_parts, read_split, table_hash
from skinlesion.data.store import IMAGES_NAME, PREPARED_NAME, open_images
from skinlesion.errors import UserError
from skinlesion.files import read_json, sha256_file
from skinlesion.params import SplitParams, TrainParams
from skinlesion.stages.workspace import Workspace
from skinlesion.training.features import FeatureRequest, Features, cached_features
from skinlesion.vocabulary import CLASSES


@dataclass(frozen=True)
class Inputs:
    """The prepared data of a workspace under one protocol."""

    workspace: Workspace
    settings: TrainParams
    split_settings: SplitParams

    @cached_property
    def described(self) -> dict[str, Any]:
        content: dict[str, Any] = read_json(self.workspace.prepared / PREPARED_NAME, "run `skinlesion prepare` first")
        return content

    @cached_property
    def table(self) -> pd.DataFrame:
        return read_metadata(self.workspace.prepared / METADATA_NAME)

    @cached_property
    def labels(self) -> np.ndarray:
        """Return (N,) int64, positions in CLASSES."""
        return pd.Categorical(self.table["dx"], categories=list(CLASSES)).codes.astype(np.int64)

    @cached_property
    def split(self) -> pd.DataFrame:
        """Return the split aligned with the table; made on the fly where `skinlesion split` was not run."""
        path = self.workspace.splits / f"{self.settings.protocol}.csv"
        if path.exists():
            return read_split(path, self.table["image_id"])
        print(f"{path} is not there: splitting by {self.settings.protocol} with seed {self.split_settings.seed}")
        made = assign_parts(self.table, self.settings.protocol, self.split_settings.seed)
        return made.set_index("image_id").loc[self.table["image_id"]].reset_index()

    @cached_property
    def features(self) -> Features:
        images = open_images(self.workspace.prepared / IMAGES_NAME)
        if len(images) != len(self.table):
            raise UserError(
                f"{self.workspace.prepared}: images and table differ in length; run `skinlesion prepare` again"
            )
        settings = self.settings
        request = FeatureRequest(
            settings.backbone, settings.weights, settings.input_size, settings.precision, settings.device
        )
        return cached_features(images, self.described["images_sha256"], request, self.workspace.features)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Return the hashes of all data a run depends on, for its fingerprint."""
        return {
            "features": self.features.key,
            "metadata": sha256_file(self.workspace.prepared / METADATA_NAME),
            "split": table_hash(self.split.sort_values("image_id")),
        }
