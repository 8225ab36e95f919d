"""Networks on encoded metadata: a record becomes one vector, or one token per field."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from skinlesion.models.layers import dense_stack
from skinlesion.models.metadata_encoders import Field


@dataclass(frozen=True)
class MetadataShape:
    """Sizes and regularisation of the metadata network, from the section `train`."""

    hidden: Sequence[int]
    batch_norm: int  # after how many layers
    layer_dropout: Sequence[float]  # after each of the first layers
    dropout: float
    embedding_width: int


class FieldInputs(nn.Module):
    """Encoded columns with categories embedded: a list of one tensor per field."""

    def __init__(self, fields: Sequence[Field], embedding_width: int) -> None:
        super().__init__()
        self.columns = [field.columns for field in fields]
        self.embeddings = nn.ModuleDict(
            {field.name: nn.Embedding(field.categories, embedding_width) for field in fields if field.categories}
        )
        self.names = [field.name for field in fields]
        self.widths = [embedding_width if field.categories else len(field.missing) for field in fields]

    def forward(self, metadata: torch.Tensor) -> list[torch.Tensor]:
        """Return for each field (B, width of the field), from encoded metadata (B, columns)."""
        inputs = []
        for name, columns in zip(self.names, self.columns, strict=True):
            values = metadata[:, columns]  # (B, w)
            inputs.append(self.embeddings[name](values[:, 0].long()) if name in self.embeddings else values)
        return inputs


class MetadataVector(nn.Module):
    """All fields through one MLP: (B, columns) → (B, width)."""

    def __init__(self, fields: Sequence[Field], shape: MetadataShape) -> None:
        super().__init__()
        self.inputs = FieldInputs(fields, shape.embedding_width)
        self.mlp, self.width = dense_stack(
            sum(self.inputs.widths), shape.hidden, shape.layer_dropout, batch_norm=shape.batch_norm
        )
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, metadata: torch.Tensor) -> torch.Tensor:
        vector: torch.Tensor = self.dropout(self.mlp(torch.cat(self.inputs(metadata), dim=1)))
        return vector


class MetadataTokens(nn.Module):
    """One token per field, for attention: (B, columns) → (B, fields, width)."""

    def __init__(self, fields: Sequence[Field], shape: MetadataShape, width: int) -> None:
        super().__init__()
        self.inputs = FieldInputs(fields, shape.embedding_width)
        self.project = nn.ModuleList(nn.Linear(field_width, width) for field_width in self.inputs.widths)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, metadata: torch.Tensor) -> torch.Tensor:
        tokens = [project(values) for project, values in zip(self.project, self.inputs(metadata), strict=True)]
        stacked: torch.Tensor = self.dropout(torch.stack(tokens, dim=1))  # (B, fields, width)
        return stacked
