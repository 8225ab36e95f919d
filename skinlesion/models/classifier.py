"""Classifiers: from image features and metadata to seven logits, and the same with the backbone in front."""

from collections.abc import Sequence

import torch
from torch import nn

from skinlesion.models.backbones import Backbone
from skinlesion.models.fusion import make_fusion
from skinlesion.models.layers import dense_stack
from skinlesion.models.metadata_encoders import Field
from skinlesion.models.metadata_network import MetadataShape
from skinlesion.params import TrainParams
from skinlesion.vocabulary import CLASSES


class FeatureClassifier(nn.Module):
    """Dropout → dense layers → fusion → dropout → dense layers → logits, on image features of a backbone."""

    def __init__(self, settings: TrainParams, image_width: int, fields: Sequence[Field]) -> None:
        super().__init__()
        shape = MetadataShape(
            settings.metadata_hidden, int(settings.metadata_batch_norm), settings.metadata_layer_dropout,
            settings.metadata_dropout, settings.embedding_width,
        )  # fmt: skip
        self.dropout = nn.Dropout(settings.dropout)
        self.image, width = dense_stack(image_width, settings.image_hidden, dropout=0.0)
        self.fusion = make_fusion(
            settings.fusion,
            width,
            fields,
            shape,
            attention_width=settings.attention_width,
            attention_heads=settings.attention_heads,
        )
        self.fusion_dropout = nn.Dropout(settings.fusion_dropout)
        self.head, width = dense_stack(self.fusion.width, settings.head_hidden, settings.head_dropout)
        self.logits = nn.Linear(width, len(CLASSES))
        _set_momentum(self, settings.batch_norm_momentum)

    def forward(self, image: torch.Tensor | None, metadata: torch.Tensor | None) -> torch.Tensor:
        """Return logits (B, 7).

        Args:
            image: (B, F), or (B, F, H, W) for the fusions on the map; None for metadata_only.
            metadata: (B, M) encoded, None for image-only models.
        """
        if image is not None:
            image = self.image(self.dropout(image))
        fused = self.fusion_dropout(self.fusion(image, metadata))  # (B, K)
        logits: torch.Tensor = self.logits(self.head(fused))  # (B, 7)
        return logits


class ImageClassifier(nn.Module):
    """A backbone and its classifier, trained end to end; only the layers that may change leave evaluation mode."""

    def __init__(self, backbone: Backbone, head: FeatureClassifier, settings: TrainParams) -> None:
        super().__init__()
        self.backbone = backbone.module
        self.head = head
        self._features = backbone.features
        self._kind = head.fusion.image
        self._grid = settings.spatial_grid
        self._freeze_norms = settings.batch_norm == "frozen"
        _set_momentum(self, settings.batch_norm_momentum)
        trainable = backbone.last_stages(settings.trainable_stages)
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(name in trainable)

    @property
    def leaves_some_unused(self) -> bool:
        """Whether parameters may have no gradient: a backbone's layers behind the map, ConvNeXt's last norm, say."""
        return self._kind == "map"

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None) -> torch.Tensor:
        """Return logits (B, 7) of normalised images (B, 3, S, S) and encoded metadata (B, M)."""
        return self.head(self.image_features(image), metadata)

    def image_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return what the head looks at, (B, F) or (B, F, H, W), of normalised images (B, 3, S, S)."""
        return self._features(self.backbone, image, self._kind, self._grid).float()

    def train(self, mode: bool = True) -> "ImageClassifier":
        """Put what is trained into training mode; frozen layers keep their statistics and drop nothing."""
        super().train(mode)
        if mode:
            _train_unfrozen(self.backbone, True, self._freeze_norms)
        return self


def head_of(model: nn.Module) -> nn.Module:
    """Return the classifier of image features in a trained model: the model itself where its backbone is frozen."""
    return model.head if isinstance(model, ImageClassifier) else model


def backbone_of(model: nn.Module, frozen: Backbone) -> nn.Module:
    """Return the backbone's network that a trained model stands on: its own, or the frozen one."""
    return model.backbone if isinstance(model, ImageClassifier) else frozen.module


def _set_momentum(model: nn.Module, momentum: float | None) -> None:
    for module in model.modules():
        if momentum is not None and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = momentum


def _train_unfrozen(module: nn.Module, parent: bool, freeze_norms: bool) -> None:
    parameters = list(module.parameters())
    training = all(parameter.requires_grad for parameter in parameters) if parameters else parent
    module.training = training and not (freeze_norms and isinstance(module, nn.modules.batchnorm._BatchNorm))
    for child in module.children():
        _train_unfrozen(child, training, freeze_norms)
