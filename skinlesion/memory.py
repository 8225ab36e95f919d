"""One heap for all threads, so that memory which a thread freed serves again, whichever thread asks for it.

No import of this module loads torch: the function has to be called before anything starts threads.
"""

import ctypes
import sys

_M_ARENA_MAX = -8  # glibc's mallopt parameter (malloc.h)


def share_one_heap() -> bool:
    """Tell glibc to serve all threads from one heap; return whether it understood.

    By default each thread gets one of its own, of at most 64 MB, which goes back to the kernel when it is empty: after
    every layer of a network, whose activations are then mapped and zeroed again. `training.memory.keep_freed_memory`
    keeps the main heap alone. Threads that were started before stay where they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, 1))
