"""One progress bar for every long loop: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_SECONDS_BETWEEN_LINES = 20.0


class Advance(Protocol):
    def __call__(self, count: int = 1) -> None: ...


@contextmanager
def progress(label: str, total: int, unit: str = "images", start: int = 0) -> Iterator[Advance]:
    """Yield a function to call with the number of units just done. Writes to standard error only."""
    began = time.monotonic()
    done = start
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, completed=start)

            def advance_bar(count: int = 1) -> None:
                bar.advance(task, count)

            yield advance_bar
        return

    last = began

    def advance(count: int = 1) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES and done < total:
            last = now
            left = (total - done) * (now - began) / (done - start)
            print(f"{label}: {done:,} of {total:,} {unit}, about {left:.0f} s left", file=sys.stderr, flush=True)

    yield advance
    print(f"{label}: {done:,} {unit} in {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
