"""track: send the results of all evaluated systems to an experiment tracker."""

import importlib
from pathlib import Path
from typing import Any, Protocol

from skinlesion.errors import UserError, choices
from skinlesion.params import Params
from skinlesion.results.names import PREDICTIONS_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace


class Tracker(Protocol):
    """Somewhere that keeps runs."""

    def log(self, name: str, settings: dict[str, str], metrics: dict[str, float], files: list[Path]) -> None:
        """Keep one system's settings, figures and files as a run called `name`."""


class Mlflow:
    """MLflow: each system becomes a run of one experiment, on the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, title: str) -> None:
        self._mlflow = _module("mlflow")
        self._mlflow.set_experiment(title)

    def log(self, name: str, settings: dict[str, str], metrics: dict[str, float], files: list[Path]) -> None:
        with self._mlflow.start_run(run_name=name):
            self._mlflow.log_params(settings)
            self._mlflow.log_metrics(metrics)
            for path in files:
                self._mlflow.log_artifact(str(path))


class WeightsAndBiases:
    """Weights & Biases: each system becomes a run of one project; WANDB_MODE=offline keeps it on this machine."""

    def __init__(self, title: str) -> None:
        self._wandb, self._project = _module("wandb"), title

    def log(self, name: str, settings: dict[str, str], metrics: dict[str, float], files: list[Path]) -> None:
        run = self._wandb.init(project=self._project, name=name, config=settings)
        run.summary.update(metrics)
        for path in files:
            run.save(str(path), policy="now")
        run.finish()


TRACKERS: dict[str, Any] = {"mlflow": Mlflow, "wandb": WeightsAndBiases}


def track(params: Params, workspace: Workspace, to: str) -> int:
    """Hand every evaluated system to a tracker: configuration, metrics, assessment, predictions; return how many.

    Raises:
        UserError: an unknown tracker, its package is not installed, or no results.
    """
    if to not in TRACKERS:
        raise UserError(f"track {to}: not a tracker; {choices(TRACKERS, to)}")
    results = Results(params, workspace)
    systems = [results.system(name) for name in results.evaluated()]
    if not systems:
        raise UserError("nothing to track: no results here; run `dvc repro`")
    tracker: Tracker = TRACKERS[to](params.report.title)
    for system in systems:
        configuration = system.notes["ensemble" if system.is_ensemble else "config"]
        settings = {key: str(value) for key, value in configuration.items()}
        assessment = results.assessment(system.name) if results.is_assessed(system.name) else {}
        tracker.log(
            system.name, settings, system.metrics | assessment, [results.folder(system.name) / PREDICTIONS_NAME]
        )
    return len(systems)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"track {name}: not installed; pip install 'skinlesion[{name}]'") from None
