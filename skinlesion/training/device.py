"""The device that a process computes on: which one, why not a GPU, and how exact and repeatable its arithmetic is."""

import os
import platform
import warnings

import torch

from skinlesion.errors import UserError
from skinlesion.models.tf32 import set_tf32


def resolve_device(name: str) -> torch.device:
    """Return the device that auto, cpu or cuda means in this process; a CUDA device with its index.

    Raises:
        UserError: cuda is asked for and there is none.
    """
    if name == "cpu":
        return torch.device("cpu")
    reason = why_no_cuda()
    if reason is None:
        # With its index: a thread of this process starts on device 0, whatever device the process works on.
        return torch.device("cuda", torch.cuda.current_device())
    if name == "cuda":
        raise UserError(f"train.device: cuda was requested, but {reason}; use auto or cpu (--set device=cpu)")
    return torch.device("cpu")


def why_no_cuda() -> str | None:
    """Return why there is no CUDA device here, in words; None where there is one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return None
    if caught:  # a driver that is too old, say
        return " ".join(str(caught[0].message).partition("(Triggered")[0].split())
    if not torch.backends.cuda.is_built():
        return "this torch is built without CUDA"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "no CUDA device is visible" + (f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else "")


def has_cuda() -> bool:
    """Return whether there is a CUDA device; a driver that is too old is no reason for a warning here."""
    return why_no_cuda() is None


def device_name(device: torch.device) -> str:
    """Return what the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def device_line(name: str) -> str:
    """Return in one line where `train.device: name` computes here, and with auto why not on a GPU.

    Raises:
        UserError: cuda is asked for and there is none.
    """
    device = resolve_device(name)
    reason = why_no_cuda() if name == "auto" and device.type == "cpu" else None
    return f"device: {device.type}, {device_name(device)}" + (f" ({reason})" if reason else "")


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse bf16 where it is emulated: 7 to 10 times slower than fp32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if precision == "bf16" and not native:
        raise UserError(
            f"train.precision: bf16 is emulated on this device ({device_name(device)}), far slower than fp32; take fp32"
        )


def use_exact_arithmetic(tf32: bool = False) -> None:
    """Let equal inputs give equal bytes, in training above all, and fp32 mean fp32 on a GPU unless `tf32` is asked for.

    Has to be called before anything is computed: cuBLAS reads its setting when it is first used. A few CUDA kernels
    (the gradient of max pooling, say) have no deterministic form; they are allowed, with a warning. That leniency
    would let attention choose a kernel that has one but does not use it, so attention is left its plain form alone.

    Args:
        tf32: allow TensorFloat-32, whose products have 10 bits instead of 23, in convolutions and matrix products.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=has_cuda())
    # Memory that nobody reads before it is written need not be filled: 10 to 23 % of a training step, equal weights.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    for enable in (
        torch.backends.cuda.enable_flash_sdp,
        torch.backends.cuda.enable_mem_efficient_sdp,
        torch.backends.cuda.enable_cudnn_sdp,
    ):
        enable(False)
    set_tf32(tf32)
