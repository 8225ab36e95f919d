"""train: every run (fold, seed) of one experiment."""

from pathlib import Path

from skinlesion.experiment.training_runs import RunSummary, train_experiment
from skinlesion.params import Params, TrainParams
from skinlesion.results.workspace import Workspace
from skinlesion.tracking.live import Live


def train(
    params: Params,
    workspace: Workspace,
    experiment: str,
    *,
    settings: TrainParams | None = None,
    out: Path | None = None,
    exclusive: bool = False,
) -> list[RunSummary]:
    """Train all runs of an experiment; complete ones are skipped, interrupted ones resumed.

    Args:
        experiment: its name, in params.yaml unless `settings` are given.
        settings: other settings than params.yaml has for it.
        out: where the runs go, instead of models/<experiment>.
        exclusive: remove runs of folds and seeds that are not asked for from `out`.

    Raises:
        UserError: the prepared data, the split, the backbone or its weights cannot be had, the package of `track.live`
            is not installed, or memory is too small.
    """
    tracker = params.track.live
    live = Live(tracker, params.report.title, experiment, workspace.live(experiment)) if tracker else None
    return train_experiment(
        workspace,
        settings or params.experiment(experiment),
        params.split,
        out or workspace.model(experiment),
        experiment,
        exclusive=exclusive,
        live=live,
    )
