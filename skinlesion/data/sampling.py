"""Samplers: which training images an epoch uses, and in which order.

References:
    [1] Sagawa et al., Distributionally robust neural networks for group shifts, ICLR 2020: compares its method with
        importance weighting of groups, which such sampling amounts to in expectation.
    [2] Idrissi et al., Simple data balancing achieves competitive worst-group-accuracy, CLeaR 2022 (PMLR 177, 336–351):
        sampling that makes groups equally likely, called RWG there.
"""

import torch

from skinlesion.choices import Sampler, names
from skinlesion.errors import UserError, choices


def epoch_order(
    name: str,
    labels: torch.Tensor,
    lesions: torch.Tensor,
    groups: torch.Tensor,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Return the indices (M,) of the images of one epoch, in order.

    - shuffle: every image once.
    - class_balanced: N draws with replacement, every class that is present equally likely.
    - lesion: one random image per lesion, so that lesions with many images weigh no more than others.
    - group_balanced: N draws with replacement, every group that is present equally likely, and every image equally
      likely inside its group [1, 2]. A group of few images shows each of them often. Groups there join a class and an
      attribute; here they may be of any kind, and training makes them of age band and sex.

    Args:
        labels: (N,) int64 classes.
        lesions: (N,) int64 lesion of each image.
        groups: (N,) int64 group of each image; numbers from 0 on, not all of which need occur.
        generator: random number generator on the CPU; torch's default one if None.

    Raises:
        UserError: `name` is not a sampler.
    """
    if name == "shuffle":
        return torch.randperm(len(labels), generator=generator)
    if name == "class_balanced":
        return _equally_often(labels.cpu(), generator)
    if name == "group_balanced":
        return _equally_often(groups.cpu(), generator)
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


def _equally_often(kinds: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Return N draws with replacement from rows of kinds (N,) int64: every kind that is present is equally likely."""
    counts = torch.bincount(kinds)
    return torch.multinomial(1.0 / counts[kinds].double(), len(kinds), True, generator=generator)
