"""Tensors on their way to the device that computes, without the host waiting for them."""

from functools import lru_cache
from typing import Any

import torch


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return `tensor` on `device`; a copy to a GPU is queued there, and the host goes on."""
    if device.type == "cuda" and not tensor.is_cuda:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@lru_cache(maxsize=64)
def constant(values: tuple[Any, ...], device: torch.device) -> torch.Tensor:
    """Return nested tuples of numbers as a float32 tensor that is copied to `device` once; not to be written into."""
    with torch.inference_mode(False):  # it may be used in training later on
        return on_device(torch.tensor(values, dtype=torch.float32), device)
