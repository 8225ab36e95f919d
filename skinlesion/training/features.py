"""Feature cache: outputs of a frozen backbone, stored under a hash of everything they depend on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock

from skinlesion.code_version import code_version
from skinlesion.data.array_files import create_array
from skinlesion.data.augment import Augmentation, Draw, augment, draw, view_draw
from skinlesion.data.frames import SquareImages
from skinlesion.errors import UserError
from skinlesion.files import read_json, sha256_json, write_json, write_text
from skinlesion.models.backbones import Backbone
from skinlesion.progress import progress
from skinlesion.training.batch_sizes import FEATURES
from skinlesion.training.device import check_precision, device_name, resolve_device
from skinlesion.training.memory import keep_freed_memory
from skinlesion.training.parallel import in_parallel
from skinlesion.transfer import on_device

#: The module whose import closure is the code that makes features: this one, without the training loop.
_ENTRY = "training.features"

_FLUSH_EVERY = 1024  # images between notes of how far an extraction got: a multiple of every batch


@dataclass(frozen=True)
class View:
    """How every image is changed before the backbone sees it."""

    kind: Literal["plain", "test", "augmented"] = "plain"
    index: int = 0  # which of the views of test-time augmentation, or of the augmented ones
    augmentation: Augmentation | None = None

    def draw(self, count: int, first: int) -> Draw | None:
        """Return how `count` images from row `first` on are changed: the same on every call."""
        if self.kind == "plain":
            return None
        if self.kind == "test":
            return view_draw(count, self.index)
        assert self.augmentation is not None
        seed = int(np.random.SeedSequence((self.index, first)).generate_state(1)[0])
        return draw(self.augmentation, count, torch.Generator().manual_seed(seed))

    def description(self) -> dict[str, object]:
        changes = asdict(self.augmentation) if self.augmentation else None
        return {"kind": self.kind, "index": self.index, "augmentation": changes}

    def __str__(self) -> str:
        return "" if self.kind == "plain" else f" ({self.kind} view {self.index})"


PLAIN = View()


@dataclass(frozen=True)
class FeatureRequest:
    """What features depend on besides images and backbone."""

    precision: str
    device: str  # where they are computed if they are not cached; cached ones are taken wherever they were made
    kind: str = "pooled"  # or "map"
    grid: int | None = None  # cells per side that a map is pooled to
    view: View = PLAIN
    tf32: bool = False  # TensorFloat-32 on a GPU
    square: str = "crop"  # how frames that are not square become so

    def identity(self, images_sha256: str, backbone: Backbone) -> dict[str, Any]:
        """Return everything that features depend on but the machine that makes them, JSON-able."""
        return {"backbone": backbone.description(), **self.own_identity(images_sha256)}

    def own_identity(self, images_sha256: str) -> dict[str, Any]:
        """Return the same without the backbone."""
        return {
            "code": code_version(_ENTRY),
            "images": images_sha256,
            "precision": self.precision,
            "tf32": self.tf32,
            "square": self.square,
            "kind": self.kind,
            "grid": self.grid if self.kind == "map" else None,
            "view": self.view.description(),
        }


@dataclass(frozen=True)
class Features:
    """Features of every prepared image and the key they are kept under."""

    array: np.ndarray  # (N, width) float32 or (N, channels, H, W) float16, a read-only memory map
    key: str
    made_with: dict[str, str]  # the torch and the device that computed them


def cached_features(
    images: np.ndarray | SquareImages, images_sha256: str, backbone: Backbone, request: FeatureRequest, cache: Path
) -> Features:
    """Return the features of all `images` (N, S, S, 3), from `cache` where they are, else computed and put there.

    An extraction that was cut off goes on where it stopped.

    Raises:
        UserError: the precision is not supported here, the backbone has no feature map and one is asked for, or the
            disk has no room.
    """
    device = resolve_device(request.device)
    check_precision(request.precision, device)
    identity = request.identity(images_sha256, backbone)
    path = cached_file(cache, identity)
    note = path.with_suffix(".json")
    if not path.exists():
        with _locked(path.with_suffix(".lock")):  # a second process waits, then finds the file
            if not path.exists():
                partial = _extract(images, backbone, request, device, path)
                made_with = {"torch": torch.__version__, "device": device.type, "device_name": device_name(device)}
                write_json(note, {**identity, "made_with": made_with})
                os.replace(partial, path)
    array = np.load(path, mmap_mode="r")
    if len(array) != len(images):
        raise UserError(f"{path}: damaged feature cache, shape {array.shape}; delete the file")
    return Features(array, path.stem, read_json(note, f"delete {path}")["made_with"])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path`, which other processes wait for, and remove its file at the end."""
    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def cached_views(cache: Path, images_sha256: str, backbone: str, request: FeatureRequest) -> int:
    """Return how many views of the kind that `request` asks for are cached, whatever weights the backbone has."""
    wanted = request.own_identity(images_sha256)
    kind = wanted.pop("view")["kind"]
    notes = (read_json(path, f"delete {path}") for path in cache.glob("*.json") if path.with_suffix(".npy").exists())
    return sum(
        note["backbone"]["name"] == backbone and note["view"]["kind"] == kind and wanted.items() <= note.items()
        for note in notes
    )


def cached_file(cache: Path, identity: dict[str, Any]) -> Path:
    """Return where features are kept: the same for every machine, so that what one trained on another evaluates."""
    return cache / f"{sha256_json(identity)[:32]}.npy"


@torch.inference_mode()
def forward(backbone: Backbone, batch: torch.Tensor, request: FeatureRequest, drawn: Draw | None) -> torch.Tensor:
    """Return features of uint8 images (B, S, S, 3): pooled (B, width) float32, or a map float16."""
    inputs = preprocess(backbone, batch, drawn)
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=request.precision == "bf16"):
        features = backbone.features(backbone.module, inputs, request.kind, request.grid)
    return features.float() if request.kind == "pooled" else features.half()


def preprocess(backbone: Backbone, images: torch.Tensor, drawn: Draw | None) -> torch.Tensor:
    """Return the backbone's input (B, 3, s, s), channels last, of uint8 images (B, S, S, 3), changed as drawn."""
    pixels = backbone.resize(images)
    if drawn is not None:
        pixels = augment(pixels, drawn)
    return backbone.normalise(pixels).contiguous(memory_format=torch.channels_last)


def _extract(
    images: np.ndarray | SquareImages, backbone: Backbone, request: FeatureRequest, device: torch.device, path: Path
) -> Path:
    """Write the features of `path` under a temporary name, from where a cut-off extraction stopped; return the name."""
    module = backbone.module.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    keep_freed_memory()
    size = FEATURES[device.type]

    def compute(rows: range) -> np.ndarray:
        batch = on_device(torch.from_numpy(np.array(images[rows.start : rows.stop])), device)
        return forward(backbone, batch, request, request.view.draw(len(batch), rows.start)).cpu().numpy()

    example = compute(range(1))
    shape = (len(images), *example.shape[1:])
    partial, note = path.with_suffix(".npy.partial"), path.with_suffix(".rows.partial")
    start = _rows_done(partial, note, example.dtype, shape)
    array = np.load(partial, mmap_mode="r+") if start else create_array(partial, example.dtype, shape)
    with progress(f"{backbone.name} {request.kind} features{request.view}", len(images), start=start) as advance:
        batches = [range(first, min(first + size, len(images))) for first in range(start, len(images), size)]
        # On a CPU every core takes batches of its own; a GPU takes one after the other.
        computed: Iterator[np.ndarray] = (
            in_parallel(compute, batches) if device.type == "cpu" else map(compute, batches)
        )
        for rows, features in zip(batches, computed, strict=True):
            array[rows.start : rows.stop] = features
            advance(len(features))
            if rows.stop % _FLUSH_EVERY == 0:
                array.flush()
                write_text(note, str(rows.stop))
    array.flush()
    del module, array
    note.unlink(missing_ok=True)
    return partial


def _rows_done(partial: Path, note: Path, dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Return how many rows a cut-off extraction finished: a multiple of the batch, so that batches stay the same.

    Files that are damaged or of other features count for none.
    """
    try:
        array = np.load(partial, mmap_mode="r")
        rows = int(note.read_text())
    except (OSError, ValueError, EOFError):
        return 0
    fits = array.shape == shape and array.dtype == dtype
    return rows if fits and 0 < rows <= shape[0] and rows % _FLUSH_EVERY == 0 else 0
