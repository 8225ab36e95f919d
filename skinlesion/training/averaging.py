"""Exponential moving average of a model's weights during training."""

import torch
from torch import nn

State = dict[str, torch.Tensor]


class MovingAverage:
    """Weights averaged over steps: average ← d · average + (1 − d) · weights.

    In the first steps d is (1 + steps) / (10 + steps), so that the initial weights are soon forgotten. Counters
    are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.state: State = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step's weights in."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)
