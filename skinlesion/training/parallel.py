"""Tasks in parallel threads, one per core, each with torch on that core alone; results come in order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from skinlesion.data.store import cores

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Each worker holds a batch's activations at a time, so memory grows with them.
MOST_WORKERS = 8


def in_parallel(work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    """Yield `work` of each task, in order, at most two tasks per worker ahead of what was taken.

    Decoding and the layers of a small network scale badly over the threads of one image or batch; parallel tasks do
    not wait for one another. A single task gets all cores. On a CPU call `memory.share_one_heap` first.
    """
    workers = max(1, min(cores(), MOST_WORKERS, len(tasks)))
    threads = max(1, cores() // workers)
    pool = ThreadPoolExecutor(workers, "in-parallel", initializer=torch.set_num_threads, initargs=(threads,))
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
