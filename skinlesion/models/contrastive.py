"""SimCLR: the projection head and the loss of self-supervised pretraining, both from the library lightly.

References:
    [1] Chen, Kornblith, Norouzi & Hinton, A simple framework for contrastive learning of visual representations,
        ICML 2020 (PMLR 119, 1597–1607).
"""

import copy

import torch
from torch import nn

from skinlesion.extras import not_installed
from skinlesion.models.backbones import Backbone

_PROJECTED = 128  # numbers of a projection, as in [1]


class ContrastiveNetwork(nn.Module):
    """A copy of a backbone, and behind it the projection that only the loss sees."""

    def __init__(self, backbone: Backbone) -> None:
        """Draw the projection's first weights from torch's generator.

        Raises:
            UserError: lightly is not installed.
        """
        super().__init__()
        try:
            from lightly.models.modules.heads import SimCLRProjectionHead
        except ImportError:
            raise not_installed("lightly", "pretrain") from None
        self.backbone = copy.deepcopy(backbone.module).requires_grad_(True)
        self.projection = SimCLRProjectionHead(backbone.width, backbone.width, _PROJECTED)
        self._features = backbone.features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return projections (B, 128) of normalised images (B, 3, s, s)."""
        projected: torch.Tensor = self.projection(self._features(self.backbone, images, "pooled", None))
        return projected


def contrastive_loss(temperature: float) -> nn.Module:
    """Return NT-Xent [1], a module of two views' projections (B, D) each that gives their mean loss over 2 B.

    Each view's class is the other view of its image, out of all other 2 B − 1 views of the batch; logits are cosines
    divided by the temperature.

    Raises:
        UserError: lightly is not installed.
    """
    try:
        from lightly.loss import NTXentLoss
    except ImportError:
        raise not_installed("lightly", "pretrain") from None
    loss: nn.Module = NTXentLoss(temperature=temperature)
    return loss
