"""Optimisers: learning rates and weight decay by group of parameters."""

from typing import Any

import torch
from torch import nn

from skinlesion.models.backbones import parameter_groups
from skinlesion.models.classifier import ImageClassifier
from skinlesion.params import TrainParams

_KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def make_optimizer(model: nn.Module, settings: TrainParams, lr: float) -> torch.optim.Optimizer:
    """Return the optimiser of a model's trainable parameters.

    Weight decay skips biases and the parameters of normalisation layers (all that are not matrices). With
    `layer_decay` d below 1 a backbone's block k places below the head has the rate lr · d^k (Clark et al. 2020). Each
    group keeps its own base rate under "base_lr", for the schedule.
    """
    scales = _scales(model, settings.layer_decay)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((scales.get(name, 1.0), decay), []).append(parameter)
    described = [
        {"params": parameters, "lr": lr * scale, "base_lr": lr * scale, "weight_decay": decay}
        for (scale, decay), parameters in groups.items()
    ]
    return _KINDS[settings.optimizer](described, lr=lr, fused=True)


def _scales(model: nn.Module, layer_decay: float) -> dict[str, float]:
    if layer_decay == 1 or not isinstance(model, ImageClassifier):
        return {}
    groups = parameter_groups(model.backbone, coarse=False)
    return {
        f"backbone.{name}": layer_decay ** (len(groups) - place) for place, group in enumerate(groups) for name in group
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state dict, each moment in the memory order of its parameter.

    A file holds tensors in plain order, parameters may lie channels last, and torch's fused optimisers go through
    both by address: left as loaded, moments would meet other weights' gradients.
    """
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter.detach(), dtype=value.dtype).copy_(value)


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's rate to its base rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
