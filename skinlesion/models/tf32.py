"""TensorFloat-32: whether fp32 products on a GPU may have 10 bits after the point instead of 23."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def _switches() -> list[Any]:
    cudnn: Any = torch.backends.cudnn
    return [cudnn.conv, cudnn.rnn, torch.backends.cuda.matmul]


def set_tf32(allowed: bool) -> None:
    """Allow it in convolutions and matrix products, or not; torch by itself allows it in convolutions alone."""
    for switch in _switches():
        switch.fp32_precision = "tf32" if allowed else "ieee"


@contextmanager
def without_tf32() -> Iterator[None]:
    """Compute in full fp32 inside."""
    before = [switch.fp32_precision for switch in _switches()]
    set_tf32(False)
    try:
        yield
    finally:
        for switch, precision in zip(_switches(), before, strict=True):
            switch.fp32_precision = precision
