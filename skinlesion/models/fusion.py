"""How metadata joins the image: each fusion turns pooled features and metadata into one vector."""

from collections.abc import Sequence

import torch
from torch import nn

from skinlesion.errors import UserError, choices


class NoFusion(nn.Module):
    """The image alone."""

    def __init__(self, image_width: int) -> None:
        super().__init__()
        self.width = image_width

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None) -> torch.Tensor:
        return image  # (B, F)


class ConcatFusion(nn.Module):
    """Image features beside an MLP of the metadata."""

    def __init__(self, image_width: int, metadata_width: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.mlp, out = dense_stack(metadata_width, hidden, dropout=0.0)
        self.dropout = nn.Dropout(dropout)
        self.width = image_width + out

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None) -> torch.Tensor:
        if metadata is None:
            raise ValueError("concat fusion needs metadata")
        return torch.cat([image, self.dropout(self.mlp(metadata))], dim=1)  # (B, F + M')


FUSIONS = ("none", "concat")


def make_fusion(
    name: str, image_width: int, metadata_width: int, hidden: Sequence[int], dropout: float
) -> NoFusion | ConcatFusion:
    """Return the fusion called `name` for features (B, image_width) and metadata (B, metadata_width).

    Raises:
        UserError: an unknown name.
    """
    if name == "none":
        return NoFusion(image_width)
    if name == "concat":
        return ConcatFusion(image_width, metadata_width, hidden, dropout)
    raise UserError(f"train.fusion: {name!r} is not a fusion; {choices(FUSIONS, name)}")


def dense_stack(width: int, hidden: Sequence[int], dropout: float) -> tuple[nn.Sequential, int]:
    """Return dense layers with ReLU and dropout, `width` → hidden[0] → …, and the width that comes out."""
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        width = units
    return nn.Sequential(*layers), width
