"""Training told to a tracker epoch by epoch. A tracker that fails is left out; the training goes on."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinlesion.params import TrainParams
from skinlesion.progress import Watcher, Watchers
from skinlesion.tracking.trackers import LIVE_TRACKERS, EpochLog, EpochTracker, package


@dataclass(frozen=True)
class Live:
    """Which tracker is told of the runs of an experiment, and where it keeps them."""

    tracker: str  # a name of LIVE_TRACKERS
    title: str  # of the tracker's experiment or project
    experiment: str
    folder: Path  # of the trackers that write files

    def check(self) -> None:
        """Look whether the tracker's package is there, before hours are spent.

        Raises:
            UserError: it is not installed.
        """
        package(self.tracker, "track.live")


@contextmanager
def live_tracking(display: Watcher, live: Live | None, settings: TrainParams) -> Iterator[Watcher]:
    """Yield what a training reports to: `display`, and the tracker where there is one."""
    if live is None:
        yield display
        return
    tracking = LiveTracking(live, settings)
    try:
        yield Watchers(display, tracking)
    except BaseException as error:
        tracking.end(error)
        raise
    tracking.end()


class LiveTracking:
    """Each training run becomes a run of the tracker, with the figures of history.csv.

    A metric is called PHASE/COLUMN, such as head/train_loss, in later candidates of `train.tune` NUMBER-PHASE/COLUMN.
    Steps count the run's epochs through all phases and candidates. A run that is resumed is told from its first epoch.
    """

    def __init__(self, live: Live, settings: TrainParams) -> None:
        self._live = live
        self._settings = {name: str(value) for name, value in settings.model_dump(mode="json").items()}
        self._tracker: EpochTracker | None = None
        self._run: EpochLog | None = None
        self._open = ExitStack()
        self._failed = False
        self._prefix = ""
        self._step = 0

    def run(self, label: str, folder: str) -> None:
        """A run begins, and the one before has ended."""
        self._try(self._open.close)
        self._prefix, self._step = "", 0
        self._try(lambda: self._begin(folder))

    def candidate(self, number: int) -> None:
        """Candidate `number` (from 0) of the run's grid begins."""
        self._prefix = f"{number}-" if number else ""

    def earlier(self, phase: str, rows: list[dict[str, Any]]) -> None:
        """These epochs were trained before the run was cut off."""
        for row in rows:
            self._log(phase, row)

    def step(self, phase: str, epoch: int, epochs: int, done: float, images: int) -> None:
        """Nothing: trackers are told of epochs."""

    def epoch(self, phase: str, epochs: int, row: dict[str, Any], seconds: float) -> None:
        """An epoch is done."""
        self._log(phase, row)

    def end(self, error: BaseException | None = None) -> None:
        """The last run has ended, by an exception where one is given."""
        if error is None:
            self._try(self._open.close)
        else:
            self._try(lambda: self._open.__exit__(type(error), error, error.__traceback__))

    def _begin(self, folder: str) -> None:
        if self._tracker is None:
            self._tracker = LIVE_TRACKERS[self._live.tracker](self._live.title, self._live.folder)
        # A tracker that keeps folders has one for the experiment; elsewhere the name says which it is.
        name = folder if self._live.tracker == "dvclive" else f"{self._live.experiment} {folder}"
        self._run = self._open.enter_context(self._tracker.run(name, self._settings))

    def _log(self, phase: str, row: dict[str, Any]) -> None:
        self._step += 1
        metrics = {f"{self._prefix}{phase}/{name}": float(value) for name, value in row.items() if name != "phase"}
        self._try(lambda: self._run.epoch(metrics, self._step) if self._run is not None else None)

    def _try(self, call: Callable[[], Any]) -> None:
        """Call the tracker; after its first failure say so and never again."""
        if self._failed:
            return
        try:
            call()
        except Exception as error:  # whatever a package or a server comes up with
            self._failed = True
            self._open.pop_all()  # not closed: the tracker would be asked again, and may take minutes to refuse
            reason = (str(error).strip().splitlines() or ["no reason given"])[0]
            print(
                f"track.live: {self._live.tracker} failed ({type(error).__name__}: {reason}); training goes on without "
                "it",
                file=sys.stderr,
                flush=True,
            )
