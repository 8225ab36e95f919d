"""Stacks of dense layers, shared by the image classifier and the metadata network."""

from collections.abc import Sequence

from torch import nn


def dense_stack(
    width: int, hidden: Sequence[int], dropout: float, batch_norm: bool = False
) -> tuple[nn.Sequential, int]:
    """Return dense layers with ReLU and dropout, `width` → hidden[0] → …, and the width that comes out.

    With `batch_norm` the first layer's activations are normalised over the batch.
    """
    layers: list[nn.Module] = []
    for place, units in enumerate(hidden):
        layers += [nn.Linear(width, units), nn.ReLU()]
        if batch_norm and place == 0:
            layers.append(nn.BatchNorm1d(units))
        layers.append(nn.Dropout(dropout))
        width = units
    return nn.Sequential(*layers), width
