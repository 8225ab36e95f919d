"""Independent runs on several devices: one process a device, the runs dealt out."""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue
from typing import Any

from skinlesion.errors import UserError


def spread(work: Callable[..., None], arguments: tuple[Any, ...], items: Sequence[Any], devices: Sequence[str]) -> None:
    """Call work(*arguments, share) in one process for each device, with every item in exactly one share.

    Raises:
        UserError: a process ended with one; the first is passed on.
        RuntimeError: a process failed otherwise; its traceback stands on standard error.
    """
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    mistakes: SimpleQueue[str] = context.SimpleQueue()
    shares = [list(items[number :: len(devices)]) for number in range(len(devices))]
    processes = [
        context.Process(target=_work, args=(work, arguments, share, device, mistakes))
        for share, device in zip(shares, devices, strict=True)
        if share
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.terminate()
    if not mistakes.empty():
        raise UserError(mistakes.get())
    failed = [process.exitcode for process in processes if process.exitcode]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(processes)} training processes failed, exit code {failed[0]}")


def _work(
    work: Callable[..., None], arguments: tuple[Any, ...], share: list[Any], device: str, mistakes: "SimpleQueue[str]"
) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    try:
        work(*arguments, share)
    except UserError as error:
        mistakes.put(str(error))
    except KeyboardInterrupt:
        pass  # the parent says so, once
