"""Stacks of dense layers, shared by the image classifier and the metadata network."""

from collections.abc import Sequence

from torch import nn


def dense_stack(
    width: int, hidden: Sequence[int], dropout: float | Sequence[float], batch_norm: int = 0
) -> tuple[nn.Sequential, int]:
    """Return dense layers with ReLU and dropout, `width` → hidden[0] → …, and the width that comes out.

    Args:
        dropout: after every layer, or after each of the first ones, and 0 after the others.
        batch_norm: after how many layers, from the first, activations are normalised over the batch.
    """
    shares = [dropout] * len(hidden) if isinstance(dropout, float) else [*dropout, *[0.0] * len(hidden)]
    layers: list[nn.Module] = []
    for place, units in enumerate(hidden):
        layers += [nn.Linear(width, units), nn.ReLU()]
        if place < batch_norm:
            layers.append(nn.BatchNorm1d(units))
        layers.append(nn.Dropout(shares[place]))
        width = units
    return nn.Sequential(*layers), width
