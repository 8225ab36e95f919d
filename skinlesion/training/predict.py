"""Probabilities from a trained model."""

from collections.abc import Sequence

import torch
from torch import nn

from skinlesion.training.examples import Examples
from skinlesion.training.validate import logits_of


def predict_probabilities(
    model: nn.Module, views: Sequence[Examples], *, pixels: bool, bf16: bool = False
) -> torch.Tensor:
    """Return softmax probabilities (N, 7) in float64, averaged over `views` of the same images (one without TTA)."""
    found = [logits_of(model, view, pixels=pixels, bf16=bf16).double().softmax(dim=1) for view in views]
    return torch.stack(found).mean(dim=0)
