"""Progress of long loops and of training on standard error: bars on a terminal, else a line every 20 seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from skinlesion import numbers

_SECONDS_BETWEEN_LINES = 20.0
#: Epochs shorter than this are printed now and then, not one line each.
_SHORT_EPOCH = 2.0


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
            text = f"{numbers.number(done, 0)} of {numbers.number(total, 0)} {unit}"
            print(f"{label}: {text}, about {numbers.number(left, 0)} s left", file=sys.stderr, flush=True)

    yield advance
    seconds = numbers.number(time.monotonic() - began, 1)
    print(f"{label}: {numbers.number(done, 0)} {unit} in {seconds} s", file=sys.stderr, flush=True)


class Watcher(Protocol):
    """Receives what happens while an experiment is trained."""

    def run(self, label: str, folder: str) -> None:
        """A run begins; `folder` is the name of its folder."""

    def candidate(self, number: int) -> None:
        """Candidate `number` (from 0) of the run's grid of settings begins."""

    def earlier(self, phase: str, rows: list[dict[str, Any]]) -> None:
        """These epochs of a phase were trained before a run was cut off that now goes on."""

    def step(self, phase: str, epoch: int, epochs: int, done: float, images: int) -> None:
        """A step is done; `done` counts epochs, with their fraction."""

    def epoch(self, phase: str, epochs: int, row: dict[str, Any], seconds: float) -> None:
        """An epoch is done; `row` is that of history.csv, with images_per_second."""


class Watchers:
    """Several watchers in the place of one."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def run(self, label: str, folder: str) -> None:
        for watcher in self._watchers:
            watcher.run(label, folder)

    def candidate(self, number: int) -> None:
        for watcher in self._watchers:
            watcher.candidate(number)

    def earlier(self, phase: str, rows: list[dict[str, Any]]) -> None:
        for watcher in self._watchers:
            watcher.earlier(phase, rows)

    def step(self, phase: str, epoch: int, epochs: int, done: float, images: int) -> None:
        for watcher in self._watchers:
            watcher.step(phase, epoch, epochs, done, images)

    def epoch(self, phase: str, epochs: int, row: dict[str, Any], seconds: float) -> None:
        for watcher in self._watchers:
            watcher.epoch(phase, epochs, row, seconds)


class TrainingProgress:
    """Where training stands: one line per epoch, with losses, images per second and the time left at most."""

    def __init__(self, experiment: str, runs: int, quiet: bool = False) -> None:
        self.experiment = experiment
        self._label = experiment
        self._quiet = quiet
        self._started = 0
        self._runs = runs
        self._last_line = time.monotonic()

    def run(self, label: str, folder: str) -> None:
        """A run begins."""
        self._started += 1
        self._label = f"{self.experiment} {label} ({self._started} of {self._runs})"

    def candidate(self, number: int) -> None:
        """Nothing is shown of it."""

    def earlier(self, phase: str, rows: list[dict[str, Any]]) -> None:
        """Nothing is shown of them."""

    def step(self, phase: str, epoch: int, epochs: int, done: float, images: int) -> None:
        """A step is done; `done` counts epochs, with their fraction."""

    def epoch(self, phase: str, epochs: int, row: dict[str, Any], seconds: float) -> None:
        """An epoch is done. Short ones get a line now and then."""
        now = time.monotonic()
        if self._quiet or (seconds < _SHORT_EPOCH and now - self._last_line < _SECONDS_BETWEEN_LINES):
            return
        self._last_line = now
        left = (epochs - row["epoch"]) * seconds
        self._print(
            f"{self._label} {phase} epoch {row['epoch']} of at most {epochs}: "
            f"loss {numbers.number(row['train_loss'], 4)}, "
            f"validation loss {numbers.number(row['validation_loss'], 4)}, "
            f"balanced accuracy {numbers.number(row['validation_balanced_accuracy'], 4)}, "
            f"{numbers.number(row['images_per_second'], 0)} images/s, at most {numbers.number(left, 0)} s left"
        )

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class _TrainingBar(TrainingProgress):
    """The same above two bars: runs, and the epochs of the present phase."""

    def __init__(self, experiment: str, runs: int, bar: Any) -> None:
        super().__init__(experiment, runs)
        self._bar = bar
        self._all = bar.add_task(experiment, total=runs)
        self._current = bar.add_task("", total=1.0)

    def run(self, label: str, folder: str) -> None:
        super().run(label, folder)
        text = f"{self.experiment}: run {self._started} of {self._runs}, {label}"
        self._bar.update(self._all, description=text, completed=self._started - 1)

    def step(self, phase: str, epoch: int, epochs: int, done: float, images: int) -> None:
        text = f"{phase}, epoch {epoch} of at most {epochs}"
        self._bar.update(self._current, total=float(epochs), completed=done, description=text)

    def _print(self, line: str) -> None:
        self._bar.console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def training_progress(experiment: str, runs: int, *, quiet: bool = False) -> Iterator[TrainingProgress]:
    """Yield what a training loop reports to; at the end say how long it took."""
    began = time.monotonic()
    if sys.stderr.isatty() and not quiet:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            yield _TrainingBar(experiment, runs, bar)
        return
    yield TrainingProgress(experiment, runs, quiet)
    if not quiet:
        seconds = numbers.number(time.monotonic() - began, 1)
        print(f"{experiment}: {numbers.count(runs, 'run')} in {seconds} s", file=sys.stderr, flush=True)
