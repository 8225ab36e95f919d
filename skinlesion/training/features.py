"""Feature cache: outputs of a frozen backbone, stored under a hash of everything they depend on."""

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock
from typing_extensions import TypedDict

from skinlesion.code_version import code_version
from skinlesion.data.array_files import create_array
from skinlesion.data.augment import Augmentation, Draw, augment, draw, view_draw
from skinlesion.data.frames import SquareImages
from skinlesion.errors import UserError
from skinlesion.files import sha256_json, write_json, write_text
from skinlesion.models.backbones import Backbone
from skinlesion.progress import progress
from skinlesion.reading import open_array, read_json, read_text
from skinlesion.training.batch_sizes import FEATURES
from skinlesion.training.device import check_precision, device_name, resolve_device
from skinlesion.training.memory import keep_freed_memory
from skinlesion.training.parallel import in_parallel
from skinlesion.transfer import on_device

#: The module whose import closure is the code that makes features: this one, without the training loop.
_ENTRY = "training.features"

_BLOCK, _BLOCKS = 1 << 20, 2048  # bytes, and how many of them are hashed at most
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


class _Backbone(TypedDict):
    name: str


class _View(TypedDict):
    kind: str


class _Note(TypedDict):
    """The JSON file beside cached features: their identity, what computed them, and the digest of the file."""

    backbone: _Backbone
    view: _View
    made_with: dict[str, str]
    sha256: str


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

    An extraction that was cut off goes on where it stopped. A file that is damaged is computed anew.

    Raises:
        UserError: the precision is not supported here, or the backbone has no feature map and one is asked for.
    """
    device = resolve_device(request.device)
    check_precision(request.precision, device)
    identity = request.identity(images_sha256, backbone)
    path = cached_file(cache, identity)
    cached = _read(path, len(images))
    if cached is None:
        with _locked(path):  # a second process waits, then finds the file
            cached = _read(path, len(images))
            if cached is None:
                if path.exists():
                    print(f"{path}: damaged, computed anew", file=sys.stderr)
                made_with = {"torch": torch.__version__, "device": device.type, "device_name": device_name(device)}
                _extract(images, backbone, request, device, path, {**identity, "made_with": made_with})
                cached = _read(path, len(images))
    if cached is None:
        raise UserError(f"{path}: cannot be read back; delete it, and check the disk")
    return cached


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_suffix(".lock"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock:
        try:
            yield
        finally:
            with suppress(OSError):  # while it is held: who opens it meanwhile sees that it is gone
                path.with_suffix(".lock").unlink()


def _read(path: Path, count: int) -> Features | None:
    """Return cached features of `count` images, None where they are not there or not as they were written.

    A file is checked once in a process, unless it changes.
    """
    note = path.with_suffix(".json")
    if not (path.exists() and note.exists()):
        return None
    try:
        described = read_json(note, "", _Note)
        identity = {name: value for name, value in described.items() if name not in ("made_with", "sha256")}
        array = open_array(path, "")
        if cached_file(path.parent, identity) != path or len(array) != count:
            return None
        if _digest(path, path.stat().st_mtime_ns) != described["sha256"]:
            return None
    except UserError:
        return None
    return Features(array, path.stem, described["made_with"])


@cache
def _digest(path: Path, _changed: int) -> str:
    """Return the SHA-256 of a file's size and content: all of it up to 2 GiB, else 2,048 blocks spread over it."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}\n".encode())
    places = range(0, size, _BLOCK) if size <= _BLOCKS * _BLOCK else np.linspace(0, size - _BLOCK, _BLOCKS, dtype=int)
    with path.open("rb") as stream:
        for place in places:
            stream.seek(int(place))
            digest.update(stream.read(_BLOCK))
    return digest.hexdigest()


def cached_views(cache: Path, images_sha256: str, backbone: str, request: FeatureRequest) -> int:
    """Return how many views of the kind that `request` asks for are cached, whatever weights the backbone has."""
    wanted = request.own_identity(images_sha256)
    kind = wanted.pop("view")["kind"]
    count = 0
    for path in cache.glob("*.json"):
        if path.with_suffix(".npy").exists():
            with suppress(UserError):  # damaged: those features are computed anew
                note = read_json(path, "", _Note)
                matches = note["backbone"]["name"] == backbone and note["view"]["kind"] == kind
                count += matches and all(note.get(name) == value for name, value in wanted.items())
    return count


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
    images: np.ndarray | SquareImages,
    backbone: Backbone,
    request: FeatureRequest,
    device: torch.device,
    path: Path,
    described: dict[str, Any],
) -> None:
    """Write features to `path`, and `described` with their digest beside it."""
    module = backbone.module.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    keep_freed_memory()
    size = FEATURES[device.type]

    def compute(rows: range) -> np.ndarray:
        batch = on_device(torch.from_numpy(np.array(images[rows.start : rows.stop])), device)
        return forward(backbone, batch, request, request.view.draw(len(batch), rows.start)).cpu().numpy()

    example = compute(range(1))
    shape = (len(images), *example.shape[1:])
    partial, note = path.with_suffix(".npy.partial"), path.with_suffix(".rows.partial")
    start = _rows_done(partial, note, shape, example.dtype)
    array = np.load(partial, mmap_mode="r+") if start else create_array(partial, example.dtype, shape)
    with progress(f"{backbone.name} {request.kind} features{request.view}", len(images), start=start) as advance:
        batches = [range(first, min(first + size, len(images))) for first in range(start, len(images), size)]
        # On a CPU every core takes batches of its own; a GPU takes one after the other.
        computed: Iterator[np.ndarray] = (
            in_parallel(compute, batches) if device.type == "cpu" else map(compute, batches)
        )
        for rows, features in zip(batches, computed, strict=True):
            if not np.isfinite(features).all():
                raise UserError(
                    f"{backbone.name}: features that are not finite, at images {rows.start} to {rows.stop - 1}; take "
                    "train.precision: fp32, or other train.weights"
                )
            array[rows.start : rows.stop] = features
            advance(len(features))
            if rows.stop % _FLUSH_EVERY == 0:
                array.flush()
                write_text(note, str(rows.stop))
    array.flush()
    del module, array
    write_json(path.with_suffix(".json"), described | {"sha256": _digest(partial, time.time_ns())})
    os.replace(partial, path)
    note.unlink(missing_ok=True)


def _rows_done(partial: Path, note: Path, shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Return how many rows a cut-off extraction finished: a multiple of the batch, so that batches stay the same."""
    if not (partial.exists() and note.exists()):
        return 0
    try:
        written, rows = open_array(partial, ""), int(read_text(note, ""))
    except (UserError, ValueError):
        return 0
    whole = written.shape == shape and written.dtype == dtype and 0 <= rows <= len(written)
    return rows if whole and rows % _FLUSH_EVERY == 0 else 0
