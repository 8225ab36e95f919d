"""From pooled image features and metadata to seven logits."""

import torch
from torch import nn

from skinlesion.models.fusion import dense_stack, make_fusion
from skinlesion.params import TrainParams
from skinlesion.vocabulary import CLASSES


class FeatureClassifier(nn.Module):
    """Dropout → fusion → dense layers → logits, on features of a frozen backbone."""

    def __init__(self, settings: TrainParams, image_width: int, metadata_width: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(settings.dropout)
        self.fusion = make_fusion(
            settings.fusion, image_width, metadata_width, settings.metadata_hidden, settings.metadata_dropout
        )
        self.head, width = dense_stack(self.fusion.width, settings.head_hidden, settings.head_dropout)
        self.logits = nn.Linear(width, len(CLASSES))

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None) -> torch.Tensor:
        """Return logits (B, 7) of features (B, F) and metadata (B, M), None for image-only models."""
        fused = self.fusion(self.dropout(image), metadata)  # (B, F + M')
        return self.logits(self.head(fused))  # (B, 7)
