"""Memory allocation: two settings of glibc that make networks on the CPU several times faster.

No import of this module loads torch: `share_one_heap` has to be called before anything starts threads.
"""

import ctypes
import sys
from typing import Any

# glibc's mallopt parameters (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc not to give freed blocks back to the kernel; return whether it understood.

    A forward pass frees and allocates the same large activations over and over. By default glibc maps each afresh,
    and the kernel then zeroes every page again: `benchmarks/features.py` shows what that costs. Elsewhere than on
    glibc nothing happens.
    """
    mallopt = _mallopt()
    return mallopt is not None and bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def share_one_heap() -> bool:
    """Tell glibc to serve all threads from one heap; return whether it understood.

    By default each thread gets one of its own, of at most 64 MB, which goes back to the kernel when it is empty: after
    every layer of a network, whose activations are then mapped and zeroed again. `keep_freed_memory` keeps the main
    heap alone. Threads that were started before stay where they are.
    """
    mallopt = _mallopt()
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, 1))


def _mallopt() -> Any:
    """Return glibc's mallopt, or None where the C library is another."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return None
