"""Which training images an epoch shows, and in which order."""

import torch

from skinlesion.errors import UserError, choices

SAMPLERS = ("shuffle", "class_balanced", "lesion")


def epoch_order(
    name: str, labels: torch.Tensor, lesions: torch.Tensor, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Return the rows (M,) of one epoch.

    - shuffle: every image once.
    - class_balanced: as many draws as there are images, with replacement; each class present equally likely.
    - lesion: one image of every lesion, drawn anew each epoch, so that a lesion photographed often weighs no more.

    Args:
        labels: (N,) int64 classes.
        lesions: (N,) int64 numbers of lesions.
        generator: source of randomness on the CPU; torch's own where it is None.

    Raises:
        UserError: an unknown name.
    """
    if name == "shuffle":
        return torch.randperm(len(labels), generator=generator)
    if name == "class_balanced":
        counts = torch.bincount(labels.cpu())
        return torch.multinomial(1.0 / counts[labels.cpu()].double(), len(labels), True, generator=generator)
    if name == "lesion":
        order = torch.randperm(len(labels), generator=generator)
        shuffled = lesions.cpu()[order]
        # The first image of each lesion in a random order is a random image of it.
        grouped = torch.argsort(shuffled, stable=True)
        ranked = shuffled[grouped]
        first = torch.ones(len(ranked), dtype=torch.bool)
        first[1:] = ranked[1:] != ranked[:-1]
        return order[grouped[first].sort().values]
    raise UserError(f"train.sampler: {name!r} is not a sampler; {choices(SAMPLERS, name)}")
