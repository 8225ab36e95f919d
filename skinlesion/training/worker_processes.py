"""Independent runs in several processes, one or more on each device, the runs dealt out among them."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Any

from skinlesion.errors import UserError


def run_on_devices(
    work: Callable[..., None], arguments: tuple[Any, ...], items: Sequence[Any], devices: Sequence[str]
) -> None:
    """Call work(*arguments, share) in one process per entry of `devices`, with every item in exactly one share.

    A device that is named several times gets as many processes.

    A process that fails, or is killed, leaves the others to finish before the error is passed on; Ctrl-C and SIGTERM
    end all.

    Raises:
        Exception: the first that `work` raised, with its traceback in that process as the cause.
        UserError: a process was killed, by the system for want of memory, say.
    """
    shares = [list(items[number :: len(devices)]) for number in range(len(devices))]
    existing = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    with ExitStack() as pools:  # one pool per process: a broken pool ends all of its processes
        started = []
        for share, device in zip(shares, devices, strict=True):
            if share:
                pool = ProcessPoolExecutor(1, mp_context=context, initializer=_follow_parent)
                started.append((device, pools.enter_context(pool).submit(_work_on, device, work, arguments, share)))
        try:
            for device, future in started:
                try:
                    future.result()
                except BrokenProcessPool:
                    raise UserError(
                        f"the process on {device} was killed (out of memory?); run the same command again: complete "
                        "runs are skipped"
                    ) from None
        except (KeyboardInterrupt, SystemExit):  # SystemExit: SIGTERM
            for process in set(multiprocessing.active_children()) - existing:
                process.terminate()
            raise


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by an exception, so that partial files are removed
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work_on(device: str, work: Callable[..., None], arguments: tuple[Any, ...], share: list[Any]) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.set_device(device)
    work(*arguments, share)
