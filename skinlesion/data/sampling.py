"""Samplers: which training images an epoch uses, and in which order."""

import torch

from skinlesion.choices import Sampler, names
from skinlesion.errors import UserError, choices


def epoch_order(
    name: str, labels: torch.Tensor, lesions: torch.Tensor, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Return the indices (M,) of the images of one epoch, in order.

    - shuffle: every image once.
    - class_balanced: N draws with replacement, every class that is present equally likely.
    - lesion: one random image per lesion, so that lesions with many images weigh no more than others.

    Args:
        labels: (N,) int64 classes.
        lesions: (N,) int64 lesion of each image.
        generator: random number generator on the CPU; torch's default one if None.

    Raises:
        UserError: `name` is not in SAMPLERS.
    """
    if name == "shuffle":
        return torch.randperm(len(labels), generator=generator)
    if name == "class_balanced":
        counts = torch.bincount(labels.cpu())
        return torch.multinomial(1.0 / counts[labels.cpu()].double(), len(labels), True, generator=generator)
    if name == "lesion":
        order = torch.randperm(len(labels), generator=generator)
        shuffled = lesions.cpu()[order]
        # In a random order of images, the first image of each lesion is a random one.
        grouped = torch.argsort(shuffled, stable=True)
        ranked = shuffled[grouped]
        first = torch.ones(len(ranked), dtype=torch.bool)
        first[1:] = ranked[1:] != ranked[:-1]
        return order[grouped[first].sort().values]
    raise UserError(f"train.sampler: {name!r} is not a sampler; {choices(names(Sampler), name)}")
