"""TensorFloat-32: whether fp32 products on a GPU may have 10 bits after the point instead of 23.

torch has two interfaces for it and refuses to read the older one, `allow_tf32`, once the newer one was written, though
its own `torch.export` and `torch.compile` read it. So the older one is written here; some versions warn of that.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def set_tf32(allowed: bool) -> None:
    """Allow it in convolutions and matrix products, or not; torch by itself allows it in convolutions alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API", UserWarning)
        torch.backends.cudnn.allow_tf32 = allowed
        torch.backends.cuda.matmul.allow_tf32 = allowed


def tf32_is_allowed() -> bool:
    """Return whether convolutions may use it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API", UserWarning)
        return bool(torch.backends.cudnn.allow_tf32)


@contextmanager
def without_tf32() -> Iterator[None]:
    """Compute in full fp32 inside; afterwards as before, convolutions and products alike."""
    before = tf32_is_allowed()
    set_tf32(False)
    try:
        yield
    finally:
        set_tf32(before)
