"""What train and evaluate both read: prepared images and table, the split, the backbone and its frozen features."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from skinlesion.data.augment import make_augmentation
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.data.splits import assign_parts, lesion_groups, read_split, roles, table_hash
from skinlesion.data.store import IMAGES_NAME, PREPARED_NAME, open_images
from skinlesion.errors import UserError
from skinlesion.files import read_json, sha256_file, sha256_json
from skinlesion.models.backbones import Backbone, load_backbone
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.models.fusion import image_features_of
from skinlesion.models.metadata_encoders import MetadataEncoder
from skinlesion.params import SplitParams, TrainParams
from skinlesion.stages.workspace import Workspace
from skinlesion.training.examples import FeatureExamples, PixelExamples, PixelStore, Records
from skinlesion.training.features import PLAIN, FeatureRequest, Features, View, cached_features, resolve_device
from skinlesion.vocabulary import CLASSES

#: Elements of D4 that test-time augmentation averages over.
_TTA = {"none": 1, "d4": 8}


@dataclass(frozen=True)
class Inputs:
    """The prepared data of a workspace under one protocol, as one experiment sees it."""

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
    def lesions(self) -> np.ndarray:
        """Return (N,) int64, a number for each lesion."""
        return np.unique(lesion_groups(self.table), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def split(self) -> pd.DataFrame:
        """Return the split aligned with the table; made on the fly where `skinlesion split` was not run."""
        path = self.workspace.splits / f"{self.settings.protocol}.csv"
        if path.exists():
            return read_split(path, self.table["image_id"])
        print(f"{path} is not there: splitting by {self.settings.protocol} with seed {self.split_settings.seed}")
        made = assign_parts(self.table, self.settings.protocol, self.split_settings.seed)
        return made.set_index("image_id").loc[self.table["image_id"]].reset_index()

    def rows(self, fold: int, role: str) -> np.ndarray:
        """Return the rows of the table that are train, validation or test in a fold."""
        return np.flatnonzero(roles(self.split["part"].to_numpy(), fold) == role)

    @property
    def device(self) -> torch.device:
        return resolve_device(self.settings.device)

    @property
    def kind(self) -> str:
        """Return which image features the fusion looks at: none, pooled or map."""
        return image_features_of(self.settings.fusion)

    @cached_property
    def images(self) -> np.ndarray:
        images = open_images(self.workspace.prepared / IMAGES_NAME)
        if len(images) != len(self.table):
            raise UserError(
                f"{self.workspace.prepared}: images and table differ in length; run `skinlesion prepare` again"
            )
        return images

    @cached_property
    def store(self) -> PixelStore:
        return PixelStore(self.images, self.device)

    @cached_property
    def backbone(self) -> Backbone | None:
        """Return the backbone with its first weights; None for models without image."""
        if self.kind == "none":
            return None
        return load_backbone(self.settings.backbone, self.settings.weights, self.settings.input_size)

    def features(self, view: View = PLAIN) -> Features:
        """Return the frozen features of one view of all images."""
        assert self.backbone is not None
        settings = self.settings
        request = FeatureRequest(settings.precision, settings.device, self.kind, settings.spatial_grid, view)
        return cached_features(
            self.images, self.described["images_sha256"], self.backbone, request, self.workspace.features
        )

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Return the hashes of all data a run depends on, for its fingerprint."""
        split = table_hash(self.split.sort_values("image_id"))  # first: it says what is missing
        found = {"split": split, "metadata": sha256_file(self.workspace.prepared / METADATA_NAME)}
        if self.backbone is not None:
            found["images"] = self.described["images_sha256"]
            found["backbone"] = sha256_json(self.backbone.description())
            if self.settings.regime != "full":
                found["features"] = self.features().key
        return found

    def records(self, rows: np.ndarray, encoder: MetadataEncoder | None) -> Records:
        """Return metadata, labels and lesions of some rows on the device."""
        metadata = None
        if encoder is not None:
            metadata = torch.from_numpy(encoder.encode(self.table.iloc[rows])).to(self.device)
        return Records(
            torch.from_numpy(self.labels[rows]).to(self.device),
            torch.from_numpy(self.lesions[rows]),
            metadata,
            () if encoder is None else encoder.fields,
            self.settings.record_dropout,
            self.settings.field_dropout,
        )

    def feature_examples(self, rows: np.ndarray, encoder: MetadataEncoder | None, *, training: bool) -> FeatureExamples:
        """Return examples of frozen features; for training in as many augmented views as the settings ask for."""
        views = []
        if self.backbone is not None:
            views = list(self._training_views()) if training else [PLAIN]
        return self._feature_examples(rows, encoder, views)

    def _feature_examples(
        self, rows: np.ndarray, encoder: MetadataEncoder | None, views: list[View]
    ) -> FeatureExamples:
        arrays = [torch.from_numpy(self.features(view).array[rows]).to(self.device) for view in views]
        return FeatureExamples(arrays, self.records(rows, encoder))

    def _training_views(self) -> Iterator[View]:
        settings = self.settings
        if settings.views == 1:
            yield PLAIN
            return
        augmentation = make_augmentation(settings.augment)
        for index in range(settings.views):
            yield View("augmented", index, augmentation)

    def pixel_examples(
        self, rows: np.ndarray, encoder: MetadataEncoder | None, *, training: bool, element: int = 0
    ) -> PixelExamples:
        """Return examples of pixels; for training augmented as the settings say."""
        assert self.backbone is not None
        records = self.records(rows, encoder)
        if not training:
            return PixelExamples(self.store, rows, self.backbone, records, element=element)
        return PixelExamples(self.store, rows, self.backbone, records, make_augmentation(self.settings.augment))

    def test_views(self, rows: np.ndarray, encoder: MetadataEncoder | None) -> list[FeatureExamples | PixelExamples]:
        """Return the views of some rows that a prediction averages over: one, or eight with test-time augmentation."""
        count = 1 if self.backbone is None else _TTA[self.settings.tta]
        if self.settings.fine_tunes:
            return [self.pixel_examples(rows, encoder, training=False, element=element) for element in range(count)]
        if self.backbone is None:
            return [self._feature_examples(rows, encoder, [])]
        views = [View("d4", element) if element else PLAIN for element in range(count)]
        return [self._feature_examples(rows, encoder, [view]) for view in views]

    def head(self, encoder: MetadataEncoder | None) -> FeatureClassifier:
        """Return a fresh classifier of image features and metadata, its weights drawn from torch's generator."""
        width = 0
        if self.backbone is not None:
            width = self.backbone.map_width if self.kind == "map" else self.backbone.width
        return FeatureClassifier(self.settings, width, () if encoder is None else encoder.fields)

    def network(self, head: FeatureClassifier) -> ImageClassifier:
        """Return `head` behind a copy of the backbone as it was loaded, channels last, on the device."""
        assert self.backbone is not None
        model = ImageClassifier(copy.deepcopy(self.backbone), head, self.settings)
        model.backbone.to(memory_format=torch.channels_last)
        return model.to(self.device)
