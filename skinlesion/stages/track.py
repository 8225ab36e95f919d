"""track: send the results of all evaluated systems to an experiment tracker."""

from skinlesion.errors import UserError, choices
from skinlesion.params import Params
from skinlesion.results.names import PREDICTIONS_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from skinlesion.tracking.trackers import TRACKERS


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
    tracker = TRACKERS[to](params.report.title)
    for system in systems:
        configuration = system.notes["ensemble" if system.is_ensemble else "config"]
        settings = {key: str(value) for key, value in configuration.items()}
        assessment = results.assessment(system.name) if results.is_assessed(system.name) else {}
        with tracker.run(system.name, settings) as run:
            run.figures(system.metrics | assessment)
            run.keep(results.folder(system.name) / PREDICTIONS_NAME)
    return len(systems)
