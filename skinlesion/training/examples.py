"""Training examples: features or pixels, metadata and labels of some images, handed out in batches.

Everything random about a batch is drawn for the whole batch from one generator on the CPU, and a process that trains
with others then takes its share: so one process and several see the same images changed in the same ways.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from skinlesion.data.augment import NO_CHANGE, Augmentation, Draw, Mix, apply_mix, draw, draw_mix, view_draw
from skinlesion.data.frames import SquareImages
from skinlesion.models.backbones import Backbone
from skinlesion.models.metadata_encoders import Field
from skinlesion.training.features import preprocess
from skinlesion.transfer import constant, on_device
from skinlesion.vocabulary import CLASSES


@dataclass(frozen=True)
class Batch:
    """Some examples on the device that trains."""

    image: torch.Tensor | None  # (B, F), (B, F, H, W) or (B, 3, s, s)
    metadata: torch.Tensor | None  # (B, M)
    targets: torch.Tensor  # (B, C) label probabilities


@dataclass(frozen=True)
class Records:
    """Metadata, labels, lesions and groups of some images."""

    labels: torch.Tensor  # (N,) int64, positions in CLASSES, on the device
    lesions: torch.Tensor  # (N,) int64 numbers of lesions
    groups: torch.Tensor  # (N,) int64 numbers of groups of age band and sex
    metadata: torch.Tensor | None = None  # (N, M) float32, on the device
    fields: Sequence[Field] = ()
    record_dropout: float = 0.0
    field_dropout: float = 0.0

    def targets(self, rows: torch.Tensor) -> torch.Tensor:
        """Return label probabilities (B, C) of some rows."""
        return functional.one_hot(self.labels[on_device(rows, self.labels.device)], len(CLASSES)).float()

    def draw_missing(self, count: int, generator: torch.Generator) -> torch.Tensor | None:
        """Return which fields (count, fields) of a training batch are shown as missing; None for none."""
        if self.metadata is None or not (self.record_dropout or self.field_dropout):
            return None
        record = torch.rand(count, 1, generator=generator) < self.record_dropout
        return record | (torch.rand(count, len(self.fields), generator=generator) < self.field_dropout)

    def shown(self, rows: torch.Tensor, missing: torch.Tensor | None) -> torch.Tensor | None:
        """Return encoded metadata (B, M) of some rows, fields marked `missing` (B, fields) replaced."""
        if self.metadata is None:
            return None
        shown = self.metadata[on_device(rows, self.metadata.device)]  # a copy
        if missing is not None:
            missing = on_device(missing, shown.device)
            for place, field in enumerate(self.fields):
                absent = constant(tuple(field.missing), shown.device)
                shown[:, field.columns] = torch.where(missing[:, place : place + 1], absent, shown[:, field.columns])
        return shown


class Examples:
    """The base class: `batches` yields batches of rows, with everything random drawn from `generator`, or unchanged."""

    records: Records

    def __len__(self) -> int:
        return len(self.records.labels)

    def batches(
        self, rows: Iterable[torch.Tensor], generator: torch.Generator | None = None, share: slice = slice(None)
    ) -> Iterator[Batch]:
        """Yield one batch for each tensor of rows; with a generator as for training, else as for validation."""
        raise NotImplementedError


class FeatureExamples(Examples):
    """Frozen features, all on the device; `views` are versions of the same images, one drawn per use."""

    def __init__(self, views: Sequence[torch.Tensor], records: Records) -> None:
        self.views = views  # each (N, F) or (N, F, H, W); none for metadata alone
        self.records = records

    def batches(
        self, rows: Iterable[torch.Tensor], generator: torch.Generator | None = None, share: slice = slice(None)
    ) -> Iterator[Batch]:
        for batch_rows in rows:
            missing = None if generator is None else self.records.draw_missing(len(batch_rows), generator)
            view = torch.zeros(len(batch_rows), dtype=torch.int64)
            if generator is not None and len(self.views) > 1:
                view = torch.randint(len(self.views), (len(batch_rows),), generator=generator)
            taken = batch_rows[share]
            metadata = self.records.shown(taken, None if missing is None else missing[share])
            yield Batch(self._image(taken, view[share]), metadata, self.records.targets(taken))

    def _image(self, rows: torch.Tensor, view: torch.Tensor) -> torch.Tensor | None:
        if not self.views:
            return None
        device = self.views[0].device
        image = self.views[0][on_device(rows, device)]
        for number in range(1, len(self.views)):
            chosen = torch.nonzero(view == number).flatten()
            if len(chosen):
                image[on_device(chosen, device)] = self.views[number][on_device(rows[chosen], device)]
        return image.float()


class PixelStore:
    """All prepared images, whole on the GPU where they fit into half of its free memory, else a memory map."""

    def __init__(self, images: np.ndarray | SquareImages, device: torch.device) -> None:
        self.images = images  # (N, S, S, 3) uint8
        self.device = device
        self.resident: torch.Tensor | None = None
        if device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
            self.resident = torch.from_numpy(np.array(images)).to(device)

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Return images (B, S, S, 3) uint8 on the device."""
        if self.resident is not None:
            return self.resident[on_device(rows, self.device)]
        return on_device(torch.from_numpy(self.images[rows.numpy()]), self.device)


class PixelExamples(Examples):
    """Images as the backbone takes them: read, resized, augmented and normalised batch by batch."""

    def __init__(
        self,
        store: PixelStore,
        rows: np.ndarray,
        backbone: Backbone,
        records: Records,
        augmentation: Augmentation = NO_CHANGE,
        view: int = 0,
    ) -> None:
        self.store = store
        self.rows = torch.from_numpy(np.asarray(rows, dtype=np.int64))  # (N,) rows of the store
        self.backbone = backbone
        self.records = records
        self.augmentation = augmentation  # of training batches
        self.view = view  # of test-time augmentation, for all others

    def at(self, side: int) -> "PixelExamples":
        """Return the same examples with images of another side."""
        backbone = replace(self.backbone, input_size=side)
        return PixelExamples(self.store, self.rows.numpy(), backbone, self.records, self.augmentation, self.view)

    def batches(
        self, rows: Iterable[torch.Tensor], generator: torch.Generator | None = None, share: slice = slice(None)
    ) -> Iterator[Batch]:
        jobs = (self._plan(batch_rows, generator, share) for batch_rows in rows)
        if self.store.device.type == "cpu" or self.store.resident is not None:
            yield from (self._make(*job) for job in jobs)
            return
        # Read and copy the next batch while the GPU works on this one.
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as ahead:
            upcoming = None
            for job in jobs:
                following = ahead.submit(self._make, *job)
                if upcoming is not None:
                    yield upcoming.result()
                upcoming = following
            if upcoming is not None:
                yield upcoming.result()

    def _plan(
        self, rows: torch.Tensor, generator: torch.Generator | None, share: slice
    ) -> tuple[torch.Tensor, Draw | None, Mix | None, torch.Tensor | None]:
        """Draw all that is random about a batch, in the thread that owns the generator."""
        taken = rows[share]
        if generator is None:
            return taken, view_draw(len(taken), self.view) if self.view else None, None, None
        missing = self.records.draw_missing(len(rows), generator)
        drawn = None if self.augmentation == NO_CHANGE else draw(self.augmentation, len(rows), generator)
        # Images blend within a process's share; a seed of its own keeps the common generator in step.
        seed = int(torch.randint(2**31, (1,), generator=generator)) + (share.start or 0)
        mix = draw_mix(self.augmentation, len(taken), torch.Generator().manual_seed(seed))
        return taken, drawn and drawn[share], mix, None if missing is None else missing[share]

    def _make(self, rows: torch.Tensor, drawn: Draw | None, mix: Mix | None, missing: torch.Tensor | None) -> Batch:
        with torch.no_grad():
            image = preprocess(self.backbone, self.store.take(self.rows[rows]), drawn)
            targets = self.records.targets(rows)
            if mix is not None:
                image, targets = apply_mix(image, targets, mix)
        return Batch(image, self.records.shown(rows, missing), targets)
