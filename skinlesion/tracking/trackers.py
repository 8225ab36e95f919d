"""MLflow, Weights & Biases and DVCLive, behind one interface; their packages are imported when one is made."""

import importlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from skinlesion.extras import not_installed


class EpochLog(Protocol):
    """A run of a tracker that is under way."""

    def epoch(self, metrics: dict[str, float], step: int) -> None:
        """Keep the figures of an epoch; `step` counts epochs from 1 and never goes back."""


class RunLog(EpochLog, Protocol):
    """The same where finished results can be kept too."""

    def figures(self, metrics: dict[str, float]) -> None:
        """Keep the figures of the whole run."""

    def keep(self, path: Path) -> None:
        """Keep a file."""


class EpochTracker(Protocol):
    """Somewhere that keeps runs which are watched while they go on."""

    def run(self, name: str, settings: dict[str, str]) -> AbstractContextManager[EpochLog]:
        """Begin a run; it ends with the context, as failed after an exception where the tracker can say so."""


class Tracker(Protocol):
    """Somewhere that keeps finished results too."""

    def run(self, name: str, settings: dict[str, str]) -> AbstractContextManager[RunLog]:
        """Begin a run; it ends with the context, as failed after an exception where the tracker can say so."""


class Mlflow:
    """MLflow: runs of one experiment, on the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, title: str) -> None:
        self._mlflow = package("mlflow")
        self._mlflow.set_experiment(title)

    @contextmanager
    def run(self, name: str, settings: dict[str, str]) -> Iterator[RunLog]:
        with self._mlflow.start_run(run_name=name):
            self._mlflow.log_params(settings)
            yield _MlflowRun(self._mlflow)


class _MlflowRun:
    def __init__(self, module: Any) -> None:
        self._mlflow = module

    def epoch(self, metrics: dict[str, float], step: int) -> None:
        self._mlflow.log_metrics(metrics, step=step)

    def figures(self, metrics: dict[str, float]) -> None:
        self._mlflow.log_metrics(metrics)

    def keep(self, path: Path) -> None:
        self._mlflow.log_artifact(str(path))


class WeightsAndBiases:
    """Weights & Biases: runs of one project; WANDB_MODE=offline keeps them on this machine."""

    def __init__(self, title: str) -> None:
        self._wandb = package("wandb")
        self._project = re.sub(r"[/\\#?%:]+", "-", title)  # characters that it allows in no project's name

    @contextmanager
    def run(self, name: str, settings: dict[str, str]) -> Iterator[RunLog]:
        run = self._wandb.init(project=self._project, name=name, config=settings)
        try:
            yield _WandbRun(run)
        except BaseException:
            run.finish(exit_code=1)
            raise
        run.finish()


class _WandbRun:
    def __init__(self, run: Any) -> None:
        self._run = run

    def epoch(self, metrics: dict[str, float], step: int) -> None:
        self._run.log(metrics, step=step)

    def figures(self, metrics: dict[str, float]) -> None:
        self._run.summary.update(metrics)

    def keep(self, path: Path) -> None:
        self._run.save(str(path), policy="now")


class DvcLive:
    """DVCLive: a folder of its own for each run, with a table per metric; git, dvc.yaml and DVC's outputs stay as they
    are."""

    def __init__(self, folder: Path) -> None:
        self._dvclive, self._folder = package("dvclive"), folder

    @contextmanager
    def run(self, name: str, settings: dict[str, str]) -> Iterator[EpochLog]:
        with _without(*_DVC_VARIABLES):
            live = self._dvclive.Live(dir=str(self._folder / name), save_dvc_exp=False, dvcyaml=None, report=None)
        try:
            live.log_params(settings)
            yield _DvcLiveRun(live)
        finally:
            live.end()


#: By these DVCLive sees `dvc exp run` around it; it
#: then adds its folder to git's index where .gitignore does not name it.
_DVC_VARIABLES = ("DVC_ROOT", "DVC_EXP_BASELINE_REV")


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Run code without some variables of the environment."""
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


class _DvcLiveRun:
    def __init__(self, live: Any) -> None:
        self._live = live

    def epoch(self, metrics: dict[str, float], step: int) -> None:
        self._live.step = step
        for name, value in metrics.items():
            self._live.log_metric(name, value)
        self._live.make_summary()


def _impatient_mlflow(title: str) -> Mlflow:
    """Return MLflow that gives a silent server up after seconds: training waits. By itself it waits four minutes."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    return Mlflow(title)


#: What `skinlesion track` sends finished results to.
TRACKERS: dict[str, Callable[[str], Tracker]] = {"mlflow": Mlflow, "wandb": WeightsAndBiases}

#: What `track.live` may name: how to make each of a title and a folder.
LIVE_TRACKERS: dict[str, Callable[[str, Path], EpochTracker]] = {
    "dvclive": lambda title, folder: DvcLive(folder),
    "mlflow": lambda title, folder: _impatient_mlflow(title),
    "wandb": lambda title, folder: WeightsAndBiases(title),
}


def package(name: str, asked: str = "track") -> Any:
    """Return a tracker's package; `asked` names in a message what asked for it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise not_installed(name, asked) from None
