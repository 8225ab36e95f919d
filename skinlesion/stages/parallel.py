"""Tasks beside each other, one thread a core, each with torch on that core alone; results in order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from skinlesion.data.store import cores

Task = TypeVar("Task")
Found = TypeVar("Found")

#: Each worker holds a batch's activations at a time, so memory grows with them.
MOST_WORKERS = 8


def in_parallel(work: Callable[[Task], Found], tasks: Sequence[Task]) -> Iterator[Found]:
    """Yield `work` of each task, in order, at most two tasks a worker ahead of what was taken.

    Decoding and a small network's layers scale badly over the threads of one image or batch; tasks beside each other
    do not wait for one another. A single task gets all cores. On a CPU, networks want `memory.share_one_heap` first.
    """
    workers = max(1, min(cores(), MOST_WORKERS, len(tasks)))
    threads = max(1, cores() // workers)
    pool = ThreadPoolExecutor(workers, "in-parallel", initializer=torch.set_num_threads, initargs=(threads,))
    waiting: deque[Future[Found]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
