"""Class activation maps of any model: image-only or multimodal, frozen or fine-tuned, convolutions or tokens.

grad-cam does the maths; what it lacks is wrapped here. The metadata of a batch are held while the image varies, and a
frozen backbone's last map is made to require a gradient, so that only what follows it is differentiated.

References:
    [1] Selvaraju RR et al. Grad-CAM. ICCV 2017.
    [2] Chattopadhyay A et al. Grad-CAM++. WACV 2018.
    [3] Abnar S, Zuidema W. Quantifying attention flow in transformers. ACL 2020 (attention rollout).
"""

import math
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from skinlesion.choices import CamMethod, names
from skinlesion.errors import UserError, choices
from skinlesion.models.backbones import Backbone
from skinlesion.models.classifier import backbone_of, head_of

_LIBRARY = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus}


class _Tapped(nn.Module):
    """A timm backbone that passes its last features through a module of its own, where maps can be taken."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.tap = nn.Identity()
        self.num_prefix_tokens = getattr(model, "num_prefix_tokens", 0)
        self.output_fmt = getattr(model, "output_fmt", "NCHW")

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        raw: torch.Tensor = self.model.forward_features(images)
        if not raw.requires_grad:
            raw = raw.detach().requires_grad_()
        tapped: torch.Tensor = self.tap(raw)
        return tapped

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.model.forward_head(self.forward_features(images))
        return pooled


class Explained(nn.Module):
    """A trained model as a function of normalised images alone, as grad-cam wants it.

    Set `metadata` before each batch, or pass it.
    """

    def __init__(self, model: nn.Module, backbone: Backbone, kind: str, grid: int | None) -> None:
        """Take a trained model.

        Args:
            model: the classifier of features, or the whole network of a fine-tuned run.
            backbone: the one it was trained on; a fine-tuned network has its own copy.
            kind: "pooled" or "map", what the head looks at.
            grid: cells per side that a map is pooled to.
        """
        super().__init__()
        self.head = head_of(model)
        self.tapped = _Tapped(backbone_of(model, backbone))
        # Only what follows the tap is differentiated: a graph through the whole backbone costs several times as much.
        self.tapped.requires_grad_(False)
        self.metadata: torch.Tensor | None = None
        self._backbone, self._kind, self._grid = backbone, kind, grid

    def forward(self, images: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (B, 7) of normalised images (B, 3, s, s)."""
        features = self._backbone.features(self.tapped, images, self._kind, self._grid).float()
        logits: torch.Tensor = self.head(features, self.metadata if metadata is None else metadata)
        return logits

    @property
    def tokens(self) -> bool:
        """Whether the backbone is a transformer whose answer rests on tokens: its last map has no gradient."""
        return self.tapped.num_prefix_tokens > 0 and hasattr(self.tapped.model, "blocks")

    def layer(self) -> nn.Module:
        """Return the layer whose output is mapped: the last features, or the input of the last block's attention."""
        layer: nn.Module = self.tapped.model.blocks[-1].norm1 if self.tokens else self.tapped.tap
        return layer

    def to_map(self, output: torch.Tensor) -> torch.Tensor:
        """Return the layer's output as (B, C, H, W)."""
        if output.ndim == 3:
            patches = output[:, self.tapped.num_prefix_tokens :]
            side = math.isqrt(patches.shape[1])
            return patches.transpose(1, 2).unflatten(2, (side, side))
        return output.permute(0, 3, 1, 2) if self.tapped.output_fmt == "NHWC" else output


def activation_maps(
    explained: Explained, images: torch.Tensor, metadata: torch.Tensor | None, classes: np.ndarray, method: str
) -> np.ndarray:
    """Return maps (B, s, s) in 0..1, the largest value of each 1 (or all 0 where nothing supports the class).

    Args:
        images: (B, 3, s, s) normalised.
        metadata: (B, M) encoded, None for image-only models.
        classes: (B,) the class each map is about; rollout has one map for all.

    Raises:
        UserError: an unknown method, or rollout of a model without attention.
    """
    explained.metadata = metadata
    explained.eval()
    if method == "rollout":
        return _rollout(explained, images)
    if method not in _LIBRARY:
        raise UserError(f"--method {method}: not a method; {choices(names(CamMethod), method)}")
    inputs = images.detach().requires_grad_(explained.tokens)
    with (
        torch.enable_grad(),
        _LIBRARY[method](explained, [explained.layer()], reshape_transform=explained.to_map) as library,
    ):
        maps = library(inputs, [ClassifierOutputTarget(int(about)) for about in classes])
    return _normalised(np.asarray(maps, dtype=np.float32))


@torch.no_grad()
def _rollout(explained: Explained, images: torch.Tensor) -> np.ndarray:
    """Return the attention that reaches each patch, over all layers, heads averaged, residuals counted half [3]."""
    blocks = getattr(explained.tapped.model, "blocks", None)
    if blocks is None or not explained.tokens or not hasattr(blocks[0], "attn"):
        raise UserError("--method rollout: the backbone is no vision transformer; use gradcam")
    maps: list[torch.Tensor] = []
    fused = [block.attn.fused_attn for block in blocks]
    hooks = [block.attn.attn_drop.register_forward_pre_hook(lambda _, args: maps.append(args[0])) for block in blocks]
    try:
        for block in blocks:
            block.attn.fused_attn = False
        explained(images)
    finally:
        for hook, block, was in zip(hooks, blocks, fused, strict=True):
            hook.remove()
            block.attn.fused_attn = was
    flow = torch.eye(maps[0].shape[-1], device=images.device).expand(len(images), -1, -1)
    for attention in maps:  # each (B, heads, T, T)
        mixed = attention.mean(dim=1) + torch.eye(attention.shape[-1], device=images.device)
        flow = mixed / mixed.sum(dim=-1, keepdim=True) @ flow
    prefix = explained.tapped.num_prefix_tokens
    patches = flow[:, 0, prefix:]  # from the class token
    side = math.isqrt(patches.shape[1])
    grid = patches.unflatten(1, (1, side, side))
    whole = nn.functional.interpolate(grid, size=images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return _normalised(whole.cpu().numpy())


def _normalised(maps: np.ndarray) -> np.ndarray:
    maps = np.maximum(maps, 0)
    top = maps.max(axis=(1, 2), keepdims=True)
    normalised: np.ndarray = np.divide(maps, top, out=np.zeros_like(maps), where=top > 1e-12)
    return normalised
