"""Losses on logits and soft labels, and the class weights that go with them.

A loss returns a value and a weight per sample; the loss of a batch is the sum of the values over the sum of the
weights. That form stays exact when a batch is divided among devices, and when a validation part is gone through in
pieces.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from skinlesion.choices import ClassWeights, names
from skinlesion.choices import Loss as LossName
from skinlesion.costs import cost_matrix
from skinlesion.errors import UserError, choices

if TYPE_CHECKING:
    from skinlesion.params import TrainParams

CLASS_WEIGHTS = names(ClassWeights)


def class_weights(name: str, counts: torch.Tensor, beta: float = 0.999) -> torch.Tensor:
    """Return weights (C,) for training counts (C,).

    - none: ones.
    - balanced: n / (C × count), scikit-learn's and Keras' definition (King & Zeng 2001); mean over samples is one.
    - effective: (1 − β) / (1 − β^count), scaled to sum to C (Cui et al., CVPR 2019).

    Raises:
        UserError: an unknown name, or a class without training images.
    """
    if name == "none":
        return torch.ones(len(counts))
    if name not in CLASS_WEIGHTS:
        raise UserError(f"train.class_weights: {name!r} is not a choice; {choices(CLASS_WEIGHTS, name)}")
    if (counts == 0).any():
        raise UserError(f"train.class_weights: {name} weights need every class in training; take none")
    if name == "balanced":
        return counts.sum() / (len(counts) * counts.float())
    weights = (1 - beta) / (1 - beta ** counts.double())
    return (weights * len(counts) / weights.sum()).float()


class Loss(nn.Module):
    """The base class: label smoothing and class weights, common to all losses."""

    weights: torch.Tensor

    def __init__(self, weights: torch.Tensor, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.label_smoothing = label_smoothing

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return values (B,) and weights (B,), of logits (B, C) and label probabilities (B, C).

        The weight of a sample is that of its class; a mixed label has the same mixture of weights.
        """
        weights = targets @ self.weights  # (B,)
        smooth = targets * (1 - self.label_smoothing) + self.label_smoothing / targets.shape[1]
        return self.values(logits, smooth), weights

    def values(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return Σ_c w_c · t_c · loss_c for each sample (B,)."""
        raise NotImplementedError


class CrossEntropy(Loss):
    """Weighted cross-entropy: torch's `CrossEntropyLoss`, weights and smoothing included, for labels not mixed."""

    def values(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return -(targets * self.weights * logits.log_softmax(dim=1)).sum(dim=1)


class Focal(Loss):
    """Focal loss −(1 − p)^γ · log p (Lin et al., ICCV 2017); γ = 0 is cross-entropy."""

    def __init__(self, weights: torch.Tensor, label_smoothing: float = 0.0, gamma: float = 2.0) -> None:
        super().__init__(weights, label_smoothing)
        self.gamma = gamma

    def values(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        log_p = logits.log_softmax(dim=1)
        # At p = 1 the base is 0 and a power below 1 has no gradient there.
        focus = (1 - log_p.exp()).clamp_min(1e-8) ** self.gamma if self.gamma else 1.0
        return -(targets * self.weights * focus * log_p).sum(dim=1)


class CostSensitive(Loss):
    """Cross-entropy + λ · expected cost of the answer, Σ_j p_j · cost[y, j] (Galdran et al., MICCAI 2020)."""

    costs: torch.Tensor

    def __init__(
        self, weights: torch.Tensor, costs: torch.Tensor, label_smoothing: float = 0.0, cost_weight: float = 1.0
    ) -> None:
        super().__init__(weights, label_smoothing)
        self.register_buffer("costs", costs)
        self.cost_weight = cost_weight

    def values(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        weighted = targets * self.weights  # (B, C)
        expected = ((weighted @ self.costs) * logits.softmax(dim=1)).sum(dim=1)
        return -(weighted * logits.log_softmax(dim=1)).sum(dim=1) + self.cost_weight * expected


class LogitAdjusted(Loss):
    """Cross-entropy of logits + τ · log prior (Menon et al., ICLR 2021); predictions leave the prior out."""

    adjustment: torch.Tensor

    def __init__(
        self, weights: torch.Tensor, counts: torch.Tensor, label_smoothing: float = 0.0, tau: float = 1.0
    ) -> None:
        super().__init__(weights, label_smoothing)
        if (counts == 0).any():
            raise UserError("train.loss: logit_adjusted needs every class in training; take cross_entropy")
        self.register_buffer("adjustment", tau * (counts.float() / counts.sum()).log())

    def values(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return -(targets * self.weights * (logits + self.adjustment).log_softmax(dim=1)).sum(dim=1)


def make_loss(settings: "TrainParams", counts: torch.Tensor) -> Loss:
    """Return the loss that `settings` ask for, given the training counts (C,).

    Raises:
        UserError: an unknown name, or a class without training images where the loss needs one.
    """
    weights = class_weights(settings.class_weights, counts, settings.effective_beta)
    smoothing = settings.label_smoothing
    if settings.loss == "cross_entropy":
        return CrossEntropy(weights, smoothing)
    if settings.loss == "focal":
        return Focal(weights, smoothing, settings.focal_gamma)
    if settings.loss == "cost_sensitive":
        costs = torch.from_numpy(cost_matrix(settings.costs)).float()
        return CostSensitive(weights, costs, smoothing, settings.cost_weight)
    if settings.loss == "logit_adjusted":
        return LogitAdjusted(weights, counts, smoothing, settings.adjustment_tau)
    raise UserError(f"train.loss: {settings.loss!r} is not a loss; {choices(names(LossName), settings.loss)}")
