"""Probabilities from a trained head."""

import torch
from torch import nn

_BATCH = 4096


@torch.inference_mode()
def predict_probabilities(model: nn.Module, image: torch.Tensor, metadata: torch.Tensor | None) -> torch.Tensor:
    """Return softmax probabilities (N, 7) in float64 for features (N, F) and metadata (N, M) or None."""
    model.eval()
    parts = []
    for start in range(0, len(image), _BATCH):
        rows = slice(start, start + _BATCH)
        logits = model(image[rows], None if metadata is None else metadata[rows])  # (B, 7)
        parts.append(logits.double().softmax(dim=1))
    return torch.cat(parts)
