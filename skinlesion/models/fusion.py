"""Fusion modules: each combines image features and an encoded record into one vector.

Image features are pooled (B, F), or a map (B, F, H, W) for the fusions that look at where things are.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import nn

from skinlesion.errors import UserError, choices
from skinlesion.models.metadata_encoders import Field
from skinlesion.models.metadata_network import MetadataShape, MetadataTokens, MetadataVector

ImageFeatures = Literal["none", "pooled", "map"]


class Fusion(nn.Module):
    """The base of all fusions."""

    #: What it looks at: nothing, pooled features, or the feature map.
    image: ImageFeatures = "pooled"
    #: The width of the vector it returns.
    width: int

    def forward(self, image: torch.Tensor | None, metadata: torch.Tensor | None) -> torch.Tensor:
        """Return the fused vector (B, width)."""
        raise NotImplementedError


class NoFusion(Fusion):
    """The image features alone, unchanged."""

    def __init__(self, image_width: int) -> None:
        super().__init__()
        self.width = image_width

    def forward(self, image: torch.Tensor | None, metadata: torch.Tensor | None) -> torch.Tensor:
        return _required(image, "image")  # (B, F)


class MetadataOnly(Fusion):
    """The record alone: the control that shows what metadata predict without an image."""

    image: ImageFeatures = "none"

    def __init__(self, fields: Sequence[Field], shape: MetadataShape) -> None:
        super().__init__()
        self.metadata = MetadataVector(fields, shape)
        self.width = self.metadata.width

    def forward(self, image: torch.Tensor | None, metadata: torch.Tensor | None) -> torch.Tensor:
        vector: torch.Tensor = self.metadata(_required(metadata, "metadata"))
        return vector  # (B, M)


class ConcatFusion(Fusion):
    """Image features concatenated with the output of an MLP on the metadata."""

    def __init__(self, image_width: int, fields: Sequence[Field], shape: MetadataShape) -> None:
        super().__init__()
        self.metadata = MetadataVector(fields, shape)
        self.width = image_width + self.metadata.width

    def forward(self, image: torch.Tensor | None, metadata: torch.Tensor | None) -> torch.Tensor:
        record = self.metadata(_required(metadata, "metadata"))  # (B, M)
        return torch.cat([_required(image, "image"), record], dim=1)  # (B, F + M)


class FilmFusion(Fusion):
    """Feature-wise linear modulation: the record scales and shifts every image channel (Perez et al., AAAI 2018).

    Applied to pooled features, which for average pooling equals modulating the last map. It starts as the identity.
    """

    def __init__(self, image_width: int, fields: Sequence[Field], shape: MetadataShape) -> None:
        super().__init__()
        self.metadata = MetadataVector(fields, shape)
        self.modulation = nn.Linear(self.metadata.width, 2 * image_width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.width = image_width

    def forward(self, image: torch.Tensor | None, metadata: torch.Tensor | None) -> torch.Tensor:
        gamma, beta = self.modulation(self.metadata(_required(metadata, "metadata"))).chunk(2, dim=1)  # 2 × (B, F)
        return _required(image, "image") * (1 + gamma) + beta  # (B, F)


class CrossAttentionFusion(Fusion):
    """Metadata tokens attend to the cells of the feature map; the result is concatenated with the pooled image.

    One token for each of age, sex and localization is the query; the cells of the map are keys and values
    (multi-head attention, Vaswani et al. 2017). Tokens keep a residual connection and are normalised.
    """

    image: ImageFeatures = "map"

    def __init__(self, image_width: int, fields: Sequence[Field], shape: MetadataShape, width: int, heads: int) -> None:
        super().__init__()
        self.tokens = MetadataTokens(fields, shape, width)
        self.cells = nn.Linear(image_width, width)
        self.normalise_cells = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.normalise = nn.LayerNorm(width)
        self.width = image_width + len(fields) * width

    def forward(self, image: torch.Tensor | None, metadata: torch.Tensor | None) -> torch.Tensor:
        features = _required(image, "image")  # (B, F, H, W)
        cells = self.normalise_cells(self.cells(features.flatten(2).transpose(1, 2)))  # (B, HW, D)
        tokens = self.tokens(_required(metadata, "metadata"))  # (B, T, D)
        attended, _ = self.attention(tokens, cells, cells, need_weights=False)  # (B, T, D)
        attended = self.normalise(tokens + attended).flatten(1)  # (B, T·D)
        return torch.cat([features.mean(dim=(2, 3)), attended], dim=1)  # (B, F + T·D)


#: How far records move MetaBlock's gates at first.
_FIRST_GAIN = 0.1


class MetaBlockFusion(Fusion):
    """MetaBlock: the record decides which image channels count (Pacheco & Krohling, IEEE J-BHI 25, 2021).

    σ(tanh(V · f_b(u)) + g_b(u)) for the map V and the record u, with f_b and g_b a dense layer and batch normalisation
    each; the gated map is averaged over its cells.

    It starts as nearly the same gate for every record, f_b near 1 and g_b near 0. With torch's own first weights f_b
    has the mean 0 over records, so that each record turns the signs of the channels at random. On frozen features of
    EfficientNet-Lite0 that changed the validation loss of one fold from 1.49 to 1.36 at a learning rate of 1e-3; at
    1e-2 it is 1.31 with either. Concatenation has 0.86 there: tanh and sigmoid leave little of how strong a feature is,
    and a frozen backbone cannot adapt. Its authors train the backbone.
    """

    image: ImageFeatures = "map"

    def __init__(self, image_width: int, fields: Sequence[Field], shape: MetadataShape) -> None:
        super().__init__()
        self.metadata = MetadataVector(fields, shape)
        norms = [nn.BatchNorm1d(image_width) for _ in range(2)]
        for norm, first in zip(norms, (1.0, 0.0), strict=True):
            nn.init.constant_(norm.weight, _FIRST_GAIN)
            nn.init.constant_(norm.bias, first)
        self.scale, self.shift = (nn.Sequential(nn.Linear(self.metadata.width, image_width), norm) for norm in norms)
        self.width = image_width

    def forward(self, image: torch.Tensor | None, metadata: torch.Tensor | None) -> torch.Tensor:
        features = _required(image, "image").flatten(2)  # (B, F, HW)
        record = self.metadata(_required(metadata, "metadata"))  # (B, M)
        scale, shift = self.scale(record).unsqueeze(2), self.shift(record).unsqueeze(2)  # (B, F, 1)
        return torch.sigmoid(torch.tanh(features * scale) + shift).mean(dim=2)  # (B, F)


def _required(tensor: torch.Tensor | None, name: str) -> torch.Tensor:
    if tensor is None:
        raise ValueError(f"this fusion needs {name}")
    return tensor


#: Which image features each fusion looks at; known without building it.
FUSIONS: dict[str, ImageFeatures] = {
    "none": "pooled",
    "concat": "pooled",
    "film": "pooled",
    "cross_attention": "map",
    "metablock": "map",
    "metadata_only": "none",
}


def image_features_of(name: str) -> ImageFeatures:
    """Return what the fusion called `name` looks at.

    Raises:
        UserError: an unknown name.
    """
    if name not in FUSIONS:
        raise UserError(f"train.fusion: {name!r} is not a fusion; {choices(FUSIONS, name)}")
    return FUSIONS[name]


def make_fusion(
    name: str,
    image_width: int,
    fields: Sequence[Field],
    shape: MetadataShape,
    *,
    attention_width: int = 128,
    attention_heads: int = 4,
) -> Fusion:
    """Return the fusion called `name` for image features of `image_width` channels and metadata of `fields`.

    Raises:
        UserError: an unknown name.
    """
    image_features_of(name)
    makers: dict[str, Callable[[], Fusion]] = {
        "none": lambda: NoFusion(image_width),
        "concat": lambda: ConcatFusion(image_width, fields, shape),
        "film": lambda: FilmFusion(image_width, fields, shape),
        "cross_attention": lambda: CrossAttentionFusion(image_width, fields, shape, attention_width, attention_heads),
        "metablock": lambda: MetaBlockFusion(image_width, fields, shape),
        "metadata_only": lambda: MetadataOnly(fields, shape),
    }
    return makers[name]()
