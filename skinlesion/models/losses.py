"""Losses and the class weights that go with them."""

import torch
from torch import nn

from skinlesion.errors import UserError, choices

CLASS_WEIGHTS = ("none", "balanced")


def class_weights(name: str, counts: torch.Tensor) -> torch.Tensor:
    """Return weights (C,) for training counts (C,): ones, or balanced = n / (C × count).

    "balanced" is scikit-learn's and Keras' definition (King & Zeng 2001): the mean weight over samples is one.

    Raises:
        UserError: an unknown name, or a class without training images.
    """
    if name == "none":
        return torch.ones(len(counts))
    if name != "balanced":
        raise UserError(f"train.class_weights: {name!r} is not a choice; {choices(CLASS_WEIGHTS, name)}")
    if (counts == 0).any():
        raise UserError("train.class_weights: balanced weights need every class in training; take none")
    return counts.sum() / (len(counts) * counts.float())


def make_loss(weights: torch.Tensor) -> nn.CrossEntropyLoss:
    """Return the weighted mean cross-entropy: Σ w_y · ce / Σ w_y over the batch."""
    return nn.CrossEntropyLoss(weight=weights)
