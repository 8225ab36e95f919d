"""Features of a frozen backbone, computed once for the whole data set and kept under a key of what made them."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from skinlesion.errors import UserError
from skinlesion.files import sha256_json, write_text
from skinlesion.models.backbones import Backbone, load_backbone
from skinlesion.progress import progress
from skinlesion.training.memory import keep_freed_memory

#: Raise by one when this module or `Backbone.preprocess` starts to compute something else.
RECIPE = 1

#: Images a forward pass. On a CPU small batches stay in the cache; a GPU wants large ones.
_BATCH = {"cpu": 16, "cuda": 256}
_FLUSH_EVERY = 1024  # images between notes of how far an extraction got: a multiple of every batch


@dataclass(frozen=True)
class FeatureRequest:
    """What pooled features depend on, as the parameters name it."""

    backbone: str
    weights: str
    input_size: int | None
    precision: str
    device: str


@dataclass(frozen=True)
class Features:
    """Pooled features of every prepared image and the key they are kept under."""

    array: np.ndarray  # (N, width) float32, a read-only memory map
    key: str
    backbone: dict[str, object]


def cached_features(images: np.ndarray, images_sha256: str, request: FeatureRequest, cache: Path) -> Features:
    """Return the features of all `images` (N, S, S, 3), from `cache` where they are, else computed and put there.

    An extraction that was cut off goes on where it stopped.

    Raises:
        UserError: the backbone or its weights cannot be had, or the precision is not supported here.
    """
    device = resolve_device(request.device)
    check_precision(request.precision, device)
    backbone = load_backbone(request.backbone, request.weights, request.input_size)
    identity = {
        "recipe": RECIPE,
        "images": images_sha256,
        "backbone": backbone.description(),
        "precision": request.precision,
        "device": device.type,
        "torch": torch.__version__.partition("+")[0],
    }
    key = sha256_json(identity)[:32]
    path = cache / f"{key}.npy"
    if not path.exists():
        write_text(cache / f"{key}.json", json.dumps(identity, indent=2) + "\n")
        with FileLock(path.with_suffix(".lock")):  # a second process waits, then finds the file
            if not path.exists():
                _extract(images, backbone, request.precision, device, path)
    array = np.load(path, mmap_mode="r")
    if array.shape != (len(images), backbone.width):
        raise UserError(f"{path}: damaged feature cache, shape {array.shape}; delete the file")
    return Features(array, key, backbone.description())


@torch.inference_mode()
def forward(backbone: Backbone, batch: torch.Tensor, precision: str) -> torch.Tensor:
    """Return pooled features (B, width) float32 of uint8 images (B, S, S, 3)."""
    inputs = backbone.preprocess(batch).contiguous(memory_format=torch.channels_last)
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=precision == "bf16"):
        return backbone.module(inputs).float()


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


def _extract(images: np.ndarray, backbone: Backbone, precision: str, device: torch.device, path: Path) -> None:
    partial, note = path.with_suffix(".npy.partial"), path.with_suffix(".rows.partial")
    start = _rows_done(partial, note, (len(images), backbone.width))
    mode = "r+" if start else "w+"
    array = np.lib.format.open_memmap(partial, mode=mode, dtype=np.float32, shape=(len(images), backbone.width))
    module = backbone.module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = _BATCH[device.type]
    keep_freed_memory()
    with progress(f"{backbone.name} features", len(images), start=start) as advance:
        for first in range(start, len(images), size):
            batch = torch.from_numpy(np.array(images[first : first + size])).to(device)
            array[first : first + size] = forward(backbone, batch, precision).cpu().numpy()
            advance(len(batch))
            if (first + size) % _FLUSH_EVERY == 0:
                array.flush()
                write_text(note, str(first + len(batch)))
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
