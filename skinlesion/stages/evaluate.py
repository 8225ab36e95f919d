"""evaluate: out-of-fold predictions of an experiment, and every metric with its interval."""

from pathlib import Path

from skinlesion.evaluation.prediction_rows import FLOAT_FORMAT
from skinlesion.experiment.evaluation import mean_history, predict_runs, provenance
from skinlesion.experiment.external import ExternalData
from skinlesion.experiment.inputs import Inputs
from skinlesion.files import write_csv, write_json
from skinlesion.params import Params, TrainParams
from skinlesion.results.names import (
    HISTORY_NAME,
    MASKED_NAME,
    METRICS_NAME,
    NOTES_NAME,
    PREDICTIONS_NAME,
    VALIDATION_NAME,
)
from skinlesion.results.summary_files import write_external, write_results
from skinlesion.results.workspace import Workspace
from skinlesion.training.memory import keep_freed_memory


def evaluate(
    params: Params,
    workspace: Workspace,
    experiment: str,
    *,
    settings: TrainParams | None = None,
    models: Path | None = None,
    out: Path | None = None,
) -> dict[str, float]:
    """Predict the test part of every run of an experiment; write predictions, metrics and curves.

    Predictions of the validation parts go to a file of their own: whatever is fitted later is fitted on those. What
    a multimodal model predicts for the test part with metadata hidden or exchanged goes to masked.csv.
    External data sets are predicted by the mean over the folds of each seed, into external.json and external/.

    Args:
        experiment: its name, in params.yaml unless `settings` are given.
        settings: of runs that params.yaml does not name; external data are left out then.
        models: the folder of the runs, instead of models/<experiment>.
        out: where results go, instead of reports/runs/<experiment>.

    Returns:
        The content of metrics.json.

    Raises:
        UserError: a run is missing, unfinished or made from other data than there are now, or an external data set
            is not prepared.
    """
    inputs = Inputs(workspace, settings or params.experiment(experiment), params.split)
    out = out or workspace.results(experiment)
    keep_freed_memory()
    external = [] if settings else [ExternalData.open(inputs, data.name) for data in params.external]
    predicted = predict_runs(
        inputs, models or workspace.model(experiment), external, params.evaluate.seed, f"{out.name} predictions"
    )
    write_csv(out / PREDICTIONS_NAME, predicted.test, float_format=FLOAT_FORMAT)
    write_csv(out / VALIDATION_NAME, predicted.validation, float_format=FLOAT_FORMAT)
    write_csv(out / MASKED_NAME, predicted.masked, float_format="%.6g")
    metrics, notes = write_results(out, params.evaluate)
    write_csv(out / HISTORY_NAME, mean_history(predicted.histories), float_format="%.6g")
    write_external(out, {data.name: (data.predictions(), data.describe()) for data in external}, params.evaluate)
    write_json(out / NOTES_NAME, notes | provenance(inputs, predicted.descriptions))
    write_json(out / METRICS_NAME, metrics)
    return metrics
