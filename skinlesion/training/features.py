"""Feature cache: outputs of a frozen backbone, stored under a hash of everything they depend on."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from filelock import FileLock

from skinlesion.code_version import code_version
from skinlesion.data.augment import Augmentation, Draw, augment, d4_draw, draw
from skinlesion.errors import UserError
from skinlesion.files import sha256_json, write_text
from skinlesion.models.backbones import Backbone
from skinlesion.progress import progress
from skinlesion.training.batch_sizes import FEATURES
from skinlesion.training.memory import keep_freed_memory

#: The module whose import closure is the code that makes features: this one, without the training loop.
_ENTRY = "training.features"

_FLUSH_EVERY = 1024  # images between notes of how far an extraction got: a multiple of every batch


@dataclass(frozen=True)
class View:
    """How every image is changed before the backbone sees it."""

    kind: Literal["plain", "d4", "augmented"] = "plain"
    index: int = 0  # element of D4, or which of the augmented views
    augmentation: Augmentation | None = None

    def draw(self, count: int, first: int) -> Draw | None:
        """Return how `count` images from row `first` on are changed: the same on every call."""
        if self.kind == "plain":
            return None
        if self.kind == "d4":
            return d4_draw(count, self.index)
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
    device: str
    kind: str = "pooled"  # or "map"
    grid: int | None = None  # cells per side that a map is pooled to
    view: View = PLAIN


@dataclass(frozen=True)
class Features:
    """Features of every prepared image and the key they are kept under."""

    array: np.ndarray  # (N, width) float32 or (N, channels, H, W) float16, a read-only memory map
    key: str


def cached_features(
    images: np.ndarray, images_sha256: str, backbone: Backbone, request: FeatureRequest, cache: Path
) -> Features:
    """Return the features of all `images` (N, S, S, 3), from `cache` where they are, else computed and put there.

    An extraction that was cut off goes on where it stopped.

    Raises:
        UserError: the precision is not supported here, or the backbone has no feature map and one is asked for.
    """
    device = resolve_device(request.device)
    check_precision(request.precision, device)
    identity = {
        "code": code_version(_ENTRY),
        "images": images_sha256,
        "backbone": backbone.description(),
        "precision": request.precision,
        "kind": request.kind,
        "grid": request.grid,
        "view": request.view.description(),
        "device": device.type,
        "torch": torch.__version__.partition("+")[0],
    }
    key = sha256_json(identity)[:32]
    path = cache / f"{key}.npy"
    if not path.exists():
        write_text(cache / f"{key}.json", json.dumps(identity, indent=2) + "\n")
        with FileLock(path.with_suffix(".lock")):  # a second process waits, then finds the file
            if not path.exists():
                _extract(images, backbone, request, device, path)
    array = np.load(path, mmap_mode="r")
    if len(array) != len(images):
        raise UserError(f"{path}: damaged feature cache, shape {array.shape}; delete the file")
    return Features(array, key)


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


def resolve_device(name: str) -> torch.device:
    """Return the device that auto, cpu or cuda means here.

    Raises:
        UserError: cuda is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device: cuda is asked for but no CUDA device is visible; take auto or cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse bf16 on a processor that emulates it: 7 to 10 times slower than fp32 there."""
    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if precision == "bf16" and not fast:
        raise UserError("train.precision: bf16 is emulated on this processor, far slower than fp32; take fp32")


def _extract(images: np.ndarray, backbone: Backbone, request: FeatureRequest, device: torch.device, path: Path) -> None:
    module = backbone.module.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    keep_freed_memory()
    size = FEATURES[device.type]

    def compute(first: int, count: int) -> np.ndarray:
        batch = torch.from_numpy(np.array(images[first : first + count])).to(device)
        return forward(backbone, batch, request, request.view.draw(len(batch), first)).cpu().numpy()

    example = compute(0, 1)
    shape = (len(images), *example.shape[1:])
    partial, note = path.with_suffix(".npy.partial"), path.with_suffix(".rows.partial")
    start = _rows_done(partial, note, shape)
    mode = "r+" if start else "w+"
    array = np.lib.format.open_memmap(partial, mode=mode, dtype=example.dtype, shape=shape)
    with progress(f"{backbone.name} {request.kind} features{request.view}", len(images), start=start) as advance:
        for first in range(start, len(images), size):
            features = compute(first, size)
            array[first : first + size] = features
            advance(len(features))
            if (first + size) % _FLUSH_EVERY == 0:
                array.flush()
                write_text(note, str(first + len(features)))
    array.flush()
    del module, array
    os.replace(partial, path)
    note.unlink(missing_ok=True)


def _rows_done(partial: Path, note: Path, shape: tuple[int, int]) -> int:
    """Return how many rows a cut-off extraction finished: a multiple of the batch, so that batches stay the same."""
    if not (partial.exists() and note.exists()):
        return 0
    if np.load(partial, mmap_mode="r").shape != shape:
        return 0
    return int(note.read_text())
