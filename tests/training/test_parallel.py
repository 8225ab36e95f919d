"""Tasks in parallel: in order, not far ahead, and errors are raised."""

import threading
import time

import pytest
import torch

from skinlesion.training import parallel
from skinlesion.training.parallel import in_parallel


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 4)


def test_results_come_in_order_however_long_each_takes():
    def work(number):
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    assert list(in_parallel(work, range(20))) == [number * number for number in range(20)]


def test_nothing_runs_far_ahead_of_what_was_taken():
    started = []
    results = in_parallel(lambda number: started.append(number), range(100))
    next(results)
    time.sleep(0.1)
    assert len(started) <= 2 * 4 + 1
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("in-parallel")]


def test_an_error_of_the_work_reaches_the_caller():
    def work(number):
        if number == 2:
            raise ValueError("two")
        return number

    with pytest.raises(ValueError, match="two"):
        list(in_parallel(work, range(5)))


def test_cores_are_shared_out():
    thread_count = torch.get_num_threads()
    assert list(in_parallel(lambda _: torch.get_num_threads(), [0])) == [4]
    assert set(in_parallel(lambda _: torch.get_num_threads(), range(9))) == {1}
    assert torch.get_num_threads() == thread_count
    assert list(in_parallel(lambda task: task, [])) == []
