"""track: results handed to an experiment tracker, after the stages wrote them; nothing is tracked unless asked."""

import importlib
from pathlib import Path
from typing import Any, Protocol

from skinlesion.errors import UserError, choices
from skinlesion.files import read_json
from skinlesion.params import Params
from skinlesion.stages.contracts import ASSESSMENT_NAME, METRICS_NAME, NOTES_NAME, PREDICTIONS_NAME
from skinlesion.stages.workspace import Workspace


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
    names = [name for name in params.systems if (workspace.system(params, name) / METRICS_NAME).exists()]
    if not names:
        raise UserError("nothing to track: no results here; run `dvc repro`")
    tracker: Tracker = TRACKERS[to](params.report.title)
    for name in names:
        folder = workspace.system(params, name)
        remedy = f"run `skinlesion evaluate --experiment {name}`"
        notes = read_json(folder / NOTES_NAME, remedy)
        settings = {key: str(value) for key, value in notes.get("config", notes.get("ensemble", {})).items()}
        metrics = dict(read_json(folder / METRICS_NAME, remedy))
        assessment = workspace.assessment(name) / ASSESSMENT_NAME
        if assessment.exists():
            metrics |= read_json(assessment, remedy)
        tracker.log(name, settings, metrics, [folder / PREDICTIONS_NAME])
    return len(names)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"track {name}: not installed; pip install 'skinlesion[{name}]'") from None
