"""A multimodal model's answers when it is told less, or something else, about the same images.

The image is seen once: its features are kept while the head is asked again with every version of the metadata.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations

import numpy as np
import torch
from torch import nn

from skinlesion.models.classifier import ImageClassifier
from skinlesion.models.metadata_encoders import FIELDS
from skinlesion.training.examples import Examples, Records

#: Images a step.
_BATCH = {"features": 1024, "pixels": 64}

#: Every set of fields that can be shown, by name: from "none" over "age+sex" to "age+sex+localization".
SHOWN = {"+".join(shown) or "none": shown for size in range(len(FIELDS) + 1) for shown in combinations(FIELDS, size)}
ALL_SHOWN = "+".join(FIELDS)
#: All fields, but those of another image.
PERMUTED = "permuted"


def masked_metadata(records: Records) -> dict[str, torch.Tensor]:
    """Return encoded metadata (N, M) for each name in SHOWN but the last: fields not shown are marked as missing.

    A field is hidden as the encoder writes a missing value, which training showed as often as the data lack it.
    """
    assert records.metadata is not None
    every = torch.arange(len(records.labels))
    names = [field.name for field in records.fields]
    versions = {}
    for name, shown in SHOWN.items():
        if name != ALL_SHOWN:
            hidden = torch.tensor([[field not in shown for field in names]]).expand(len(every), -1)
            versions[name] = records.shown(every, hidden)
    return {name: version for name, version in versions.items() if version is not None}


def exchange_records(lesions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a row (N,) for each image to take its record from: an image of another lesion, lesions exchanged whole.

    Lesions are put in a random circle and each takes the record of the next, so that none keeps its own (unless
    there is only one). Images of a lesion take one record, that of its neighbour's first image.

    Args:
        lesions: (N,) the lesion of each image.
    """
    _, first, lesion = np.unique(lesions, return_index=True, return_inverse=True)
    circle = rng.permutation(len(first))
    giver = np.empty(len(first), dtype=int)
    giver[circle] = np.roll(circle, -1)
    rows: np.ndarray = first[giver][lesion]
    return rows


@torch.inference_mode()
def probabilities_by_version(
    model: nn.Module,
    views: Sequence[Examples],
    versions: Mapping[str, torch.Tensor],
    *,
    pixels: bool,
    bf16: bool = False,
) -> dict[str, np.ndarray]:
    """Return probabilities (N, 7) in float64 for every version of the metadata, averaged over `views` of the images.

    Args:
        versions: name → encoded metadata (N, M) of the images, on the device.
        pixels: whether `views` hold pixels (fine-tuned models) or features.
        bf16: bfloat16 arithmetic, as the experiment was trained with.
    """
    model.eval()
    found = {name: np.zeros(0) for name in versions}
    for view in views:
        made = _one_view(model, view, versions, pixels, bf16)
        found = {name: made[name] if not len(found[name]) else found[name] + made[name] for name in versions}
    return {name: total / len(views) for name, total in found.items()}


def _one_view(
    model: nn.Module, view: Examples, versions: Mapping[str, torch.Tensor], pixels: bool, bf16: bool
) -> dict[str, np.ndarray]:
    device = view.records.labels.device
    rows = torch.arange(len(view)).split(_BATCH["pixels" if pixels else "features"])
    parts: dict[str, list[np.ndarray]] = {name: [] for name in versions}
    for some, batch in zip(rows, view.batches(rows), strict=True):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            head, image = model, batch.image
            if isinstance(model, ImageClassifier):
                head = model.head
                with _inputs_of(head) as kept:
                    model(batch.image, batch.metadata)
                image = kept[0]
            for name, metadata in versions.items():
                logits = head(image, metadata[some.to(device)]).float()
                parts[name].append(logits.double().softmax(dim=1).cpu().numpy())
    return {name: np.concatenate(some) for name, some in parts.items()}


@contextmanager
def _inputs_of(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Yield a list that holds the first input of `module` once it was called."""
    kept: list[torch.Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    try:
        yield kept
    finally:
        handle.remove()
