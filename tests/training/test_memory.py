"""glibc serves all threads from one heap once it is asked to, and from several otherwise."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from skinlesion.training.memory import share_one_heap
assert "torch" not in sys.modules
if {asked}:
    assert share_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
threads = [threading.Thread(target=lambda: [libc.malloc(1000) for _ in range(1000)]) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
stdout = ctypes.c_void_p.in_dll(libc, "stdout")
libc.malloc_info(0, stdout)
libc.fflush(stdout)
"""


def heap_count(asked):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    }
    command = [sys.executable, "-c", PROGRAM.format(asked=asked)]
    completed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return completed.stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_all_threads_share_one_heap_when_asked():
    assert heap_count(asked=True) == 1
    assert heap_count(asked=False) > 1
