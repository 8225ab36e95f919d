"""Keeping freed memory: on Linux this makes a frozen backbone's forward pass on the CPU several times faster."""

import ctypes
import sys

# glibc's mallopt parameters (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc not to give freed blocks back to the kernel; return whether it understood.

    A forward pass frees and allocates the same large activations over and over. By default glibc maps each afresh,
    and the kernel then zeroes every page again: `benchmarks/features.py` shows what that costs. Elsewhere than on
    glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
