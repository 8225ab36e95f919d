"""The data of one experiment: prepared images and table, the split, the backbone and its frozen features."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from skinlesion.data.augment import D4_SIZE, ZOOMS, make_augmentation
from skinlesion.data.duplicates import exact_duplicates
from skinlesion.data.frames import SquareImages, to_square
from skinlesion.data.injection import chosen_test_images, inject
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.data.published_splits import (
    PUBLISHED_SPLITS,
    draw_published,
    in_role,
    published_split,
    read_published_splits,
)
from skinlesion.data.record_exchange import RECORD, draw_records, placebo_records
from skinlesion.data.splits import (
    assign_repeats,
    check_kept_together,
    check_same_records,
    of_repeat,
    part_column,
    read_split,
    repeats_of,
    roles,
    table_hash,
)
from skinlesion.data.store import (
    FILES_NAME,
    SOURCE_ROW,
    Prepared,
    check_same_images,
    open_squares,
    read_files,
    read_prepared,
)
from skinlesion.errors import UserError
from skinlesion.evaluation.subgroups import joint_groups
from skinlesion.files import sha256_file, sha256_json
from skinlesion.models.backbones import Backbone, load_backbone
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.models.fusion import image_features_of
from skinlesion.models.metadata_encoders import MetadataEncoder
from skinlesion.params import SplitParams, TrainParams
from skinlesion.results.names import PUBLISHED_SPLITS_NAME
from skinlesion.results.workspace import Workspace
from skinlesion.training.device import resolve_device, use_exact_arithmetic
from skinlesion.training.examples import FeatureExamples, PixelExamples, PixelStore, Records
from skinlesion.training.features import PLAIN, FeatureRequest, Features, View, cached_features, cached_file
from skinlesion.training.runs import Run
from skinlesion.transfer import on_device
from skinlesion.vocabulary import CLASSES

#: How many views of an image test-time augmentation averages over; the first one changes nothing.
_VIEWS = {"none": 1, "d4": D4_SIZE, "d4_zoom": D4_SIZE * len(ZOOMS)}

#: Tell draws apart that would otherwise begin with the same numbers.
_PLACEBO, _INJECTION = 1, 2


@dataclass(frozen=True)
class Inputs:
    """The prepared data of a workspace under one protocol, as one experiment sees it.

    Everything is read or computed when it is first asked for. Whatever trains or predicts starts with inputs, so they
    also set how the process computes.
    """

    workspace: Workspace
    settings: TrainParams
    split_settings: SplitParams
    shared_backbone: Backbone | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        use_exact_arithmetic(self.settings.tf32)

    def sharing_backbone(self, *, workspace: Workspace | None = None, settings: TrainParams | None = None) -> "Inputs":
        """Return inputs with another workspace or other settings that use the backbone as it is loaded here."""
        return replace(
            self,
            workspace=workspace or self.workspace,
            settings=settings or self.settings,
            shared_backbone=self.backbone,
        )

    @cached_property
    def described(self) -> Prepared:
        return read_prepared(self.workspace.prepared)

    @cached_property
    def table(self) -> pd.DataFrame:
        return read_metadata(self.workspace.prepared / METADATA_NAME)

    @cached_property
    def labels(self) -> np.ndarray:
        """Return (N,) int64, positions in CLASSES."""
        return pd.Categorical(self.table["dx"], categories=list(CLASSES)).codes.astype(np.int64)

    @cached_property
    def lesions(self) -> np.ndarray:
        """Return (N,) int64, the number of each image's lesion."""
        return np.unique(self.table["lesion_id"], return_inverse=True)[1].astype(np.int64)

    @cached_property
    def groups(self) -> np.ndarray:
        """Return (N,) int64, the number of each image's group of age band and sex, by the image's own record."""
        return joint_groups(self.table, ["age_band", "sex"])

    @cached_property
    def split(self) -> pd.DataFrame:
        """Return the split aligned with the table; computed here where `skinlesion split` was not run.

        Raises:
            UserError: the file is wrong or holds fewer partitions than the experiment asks for, or a lesion, a patient
                or a pair of equal images lies across parts of a split by lesion.
        """
        if self.settings.protocol in PUBLISHED_SPLITS:
            return self._published_split()
        path = self.workspace.splits / f"{self.settings.protocol}.csv"
        if path.exists():
            split = read_split(path, self.table["image_id"])
            check_same_records(self.table, split, str(path))
            if max(self.settings.repeats) >= repeats_of(split):
                raise UserError(
                    f"{path}: has no column {part_column(max(self.settings.repeats))}; run `skinlesion split`"
                )
        else:
            drawn = self.split_settings
            print(f"{path} is not there: splitting by {self.settings.protocol} with seed {drawn.seed}")
            split = assign_repeats(self.table, self.settings.protocol, drawn.seed, drawn.repeats)
            split = split.set_index("image_id").loc[self.table["image_id"]].reset_index()
        if self.settings.protocol == "lesion":
            files = read_files(self.workspace.prepared / FILES_NAME)
            check_same_images(self.workspace.prepared, self.table, files)
            duplicates = exact_duplicates(files)
            for repeat in range(repeats_of(split)):
                check_kept_together(self.table, of_repeat(split, repeat), duplicates, str(path))
        return split

    def _published_split(self) -> pd.DataFrame:
        """Return a published split aligned with the table, computed here where `skinlesion split` was not run."""
        path = self.workspace.splits / PUBLISHED_SPLITS_NAME
        if not path.exists():
            print(f"{path} is not there: drawing {self.settings.protocol}")
            files = read_files(self.workspace.prepared / FILES_NAME)
            drawn = draw_published(self.table, files.set_index("image_id")[SOURCE_ROW])
        else:
            drawn = read_published_splits(path, self.table["image_id"])
            check_same_records(self.table, drawn, str(path))
        return published_split(drawn, self.settings.protocol, path, self.described["source"] == "ham10000")

    def rows(self, fold: int, role: str, repeat: int = 0) -> np.ndarray:
        """Return the rows of the table whose role in a fold is train, validation or test.

        With `injected` those tested are one image of each tested lesion that has several, and some of the lesion's
        others are trained on.
        """
        parts = self.split[part_column(repeat)].to_numpy()
        if self.settings.protocol in PUBLISHED_SPLITS:
            return np.flatnonzero(in_role(parts, role))
        parts = roles(parts, fold)
        rows, dose = np.flatnonzero(parts == role), self.settings.injected
        if dose is None or role == "validation":
            return rows
        image_ids, tested = self.table["image_id"].to_numpy(dtype=str), np.flatnonzero(parts == "test")
        if role == "test":
            return chosen_test_images(image_ids, self.lesions, tested)[0]
        rng = np.random.default_rng([_INJECTION, fold, repeat])
        return inject(image_ids, self.lesions, self.labels, rows, tested, dose, rng)

    def shown_table(self, run: Run, shown: "Inputs | None" = None) -> pd.DataFrame:
        """Return the table with the records that a run's model is shown: the images' own, or a placebo.

        A placebo is the same whenever it is asked for: it depends on the run, the split and the lesions alone.

        Args:
            shown: another data set than this one; its lesions too get records of lesions that were trained on.
        """
        table = (shown or self).table
        if self.settings.records == "own":
            return table
        rng = np.random.default_rng([_PLACEBO, run.seed, run.fold, run.repeat])
        training = self.rows(run.fold, "train", run.repeat)
        if shown is None:
            givers = placebo_records(self.lesions, training, rng)
        else:
            first = np.unique(self.lesions[training], return_index=True)[1]
            givers = draw_records(shown.lesions, training[first], rng)
        return table.assign(**{name: self.table[name].to_numpy()[givers] for name in RECORD})

    @property
    def device(self) -> torch.device:
        return resolve_device(self.settings.device)

    @property
    def kind(self) -> str:
        """Return which image features the fusion looks at: none, pooled or map."""
        return image_features_of(self.settings.fusion)

    @cached_property
    def images(self) -> np.ndarray | SquareImages:
        """Return the prepared images as the squares (N, S, S, 3) uint8 that the experiment makes of them."""
        images = open_squares(self.workspace.prepared, self.settings.square, self._side)
        if len(images) != len(self.table):
            raise UserError(
                f"{self.workspace.prepared}: images and table differ in length; run `skinlesion prepare` again"
            )
        return images

    @cached_property
    def store(self) -> PixelStore:
        return PixelStore(self.images, self.device)

    @property
    def _side(self) -> int | None:
        """Return the side of squashed and padded squares: the network's, so that frames are resized once."""
        return None if self.backbone is None else self.backbone.input_size

    def squares(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        """Return frames (h, w, 3) uint8 of photographs as the experiment sees them, (B, S, S, 3)."""
        return np.stack([to_square(frame, self.settings.square, self._side) for frame in frames])

    @cached_property
    def backbone(self) -> Backbone | None:
        """Return the backbone with its first weights; None for models without image."""
        if self.kind == "none":
            return None
        if self.shared_backbone is not None:
            return self.shared_backbone
        settings = self.settings
        return load_backbone(settings.backbone, settings.weights, settings.input_size, settings.input_scaling)

    def request(self, view: View = PLAIN) -> FeatureRequest:
        """Return which frozen features the experiment looks at in one view."""
        settings = self.settings
        return FeatureRequest(
            settings.precision, settings.device, self.kind, settings.spatial_grid, view, settings.tf32, settings.square
        )

    def features(self, view: View = PLAIN) -> Features:
        """Return the frozen features of one view of all images, computed where they are not cached."""
        assert self.backbone is not None
        return cached_features(
            self.images, self.described["images_sha256"], self.backbone, self.request(view), self.workspace.features
        )

    def features_origin(self) -> dict[str, dict[str, str]]:
        """Return which torch and device computed the frozen features, for run.json; nothing where there are none."""
        if self.backbone is None or self.settings.regime == "full":
            return {}
        return {"features_made_with": self.features().made_with}

    def has_features(self, view: View = PLAIN) -> bool:
        """Return whether the frozen features of one view of all images are cached."""
        assert self.backbone is not None
        identity = self.request(view).identity(self.described["images_sha256"], self.backbone)
        return cached_file(self.workspace.features, identity).exists()

    def hashes(self, repeat: int = 0) -> dict[str, str]:
        """Return the hashes of all data that the runs of a repeat depend on, for their fingerprints."""
        split = table_hash(of_repeat(self.split, repeat).sort_values("image_id"))  # first: it says what is missing
        return {"split": split} | self._other_hashes

    @cached_property
    def _other_hashes(self) -> dict[str, str]:
        hashes = {"metadata": sha256_file(self.workspace.prepared / METADATA_NAME)}
        if self.backbone is not None:
            hashes["images"] = self.described["images_sha256"]
            hashes["backbone"] = sha256_json(self.backbone.description())
            if self.settings.regime != "full":
                hashes["features"] = self.features().key
        return hashes

    def records(self, rows: np.ndarray, encoder: MetadataEncoder | None, table: pd.DataFrame | None = None) -> Records:
        """Return metadata, labels, lesions and groups of some rows on the device.

        Args:
            table: with the records that are shown, where these are not the images' own.
        """
        metadata = None
        if encoder is not None:
            shown = self.table if table is None else table
            metadata = on_device(torch.from_numpy(encoder.encode(shown.iloc[rows])), self.device)
        return Records(
            on_device(torch.from_numpy(self.labels[rows]), self.device),
            torch.from_numpy(self.lesions[rows]),
            torch.from_numpy(self.groups[rows]),
            metadata,
            () if encoder is None else encoder.fields,
            self.settings.record_dropout,
            self.settings.field_dropout,
        )

    def feature_examples(
        self,
        rows: np.ndarray,
        encoder: MetadataEncoder | None,
        table: pd.DataFrame | None = None,
        *,
        training: bool,
    ) -> FeatureExamples:
        """Return examples of frozen features; for training in as many augmented views as the settings ask for."""
        views = []
        if self.backbone is not None:
            views = list(self._training_views()) if training else [PLAIN]
        return FeatureExamples(self._features_of(rows, views), self.records(rows, encoder, table))

    def _features_of(self, rows: np.ndarray, views: list[View]) -> list[torch.Tensor]:
        return [on_device(torch.from_numpy(self.features(view).array[rows]), self.device) for view in views]

    def _training_views(self) -> Iterator[View]:
        settings = self.settings
        if settings.views == 1:
            yield PLAIN
            return
        augmentation = make_augmentation(settings.augment)
        for index in range(settings.views):
            yield View("augmented", index, augmentation)

    def pixel_examples(
        self,
        rows: np.ndarray,
        encoder: MetadataEncoder | None,
        table: pd.DataFrame | None = None,
        *,
        training: bool,
        view: int = 0,
    ) -> PixelExamples:
        """Return examples of pixels; for training augmented as the settings say."""
        assert self.backbone is not None
        records = self.records(rows, encoder, table)
        if not training:
            return PixelExamples(self.store, rows, self.backbone, records, view=view)
        return PixelExamples(self.store, rows, self.backbone, records, make_augmentation(self.settings.augment))

    @property
    def views(self) -> int:
        """How many views of an image a prediction averages over: one without test-time augmentation."""
        return 1 if self.kind == "none" else _VIEWS[self.settings.tta]

    def test_view(self, rows: np.ndarray, view: int) -> FeatureExamples | PixelExamples:
        """Return the images of some rows without metadata in one of their `views`."""
        if self.settings.fine_tunes:
            return self.pixel_examples(rows, None, training=False, view=view)
        views = [] if self.backbone is None else [test_view(view)]
        return FeatureExamples(self._features_of(rows, views), self.records(rows, None))

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


def test_view(view: int) -> View:
    """Return one view of test-time augmentation of all images."""
    return View("test", view) if view else PLAIN
