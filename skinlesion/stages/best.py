"""Which experiments a page shows in detail: chosen on validation parts, never on what is tested."""

from pathlib import Path

import numpy as np

from skinlesion.evaluation.metrics import confusion_matrix
from skinlesion.evaluation.predictions import read_predictions
from skinlesion.params import Params
from skinlesion.stages.contracts import VALIDATION_NAME
from skinlesion.stages.workspace import Workspace


def best_by_validation(params: Params, workspace: Workspace, *, evaluated: bool = False) -> dict[str, str]:
    """Return the best "image only" and the best "multimodal" experiment by validation balanced accuracy.

    Candidates are split by lesion and see the image; those that ran on most folds come before others, so that both are
    tested on the same images where that can be. A kind without candidates is left out.

    Args:
        evaluated: choose among those that were evaluated; by default one that was not is an error.

    Raises:
        UserError: an experiment was not evaluated.
    """
    candidates: dict[str, list[tuple[int, float, str]]] = {"image only": [], "multimodal": []}
    for name in params.experiments:
        settings = params.experiment(name)
        if settings.protocol == "lesion" and settings.fusion != "metadata_only":
            kind = "image only" if settings.fusion == "none" else "multimodal"
            path = workspace.results(name) / VALIDATION_NAME
            if evaluated and not path.exists():
                continue
            candidates[kind].append((len(settings.folds), _balanced_accuracy(path), name))
    return {kind: max(found)[2] for kind, found in candidates.items() if found}


def _balanced_accuracy(path: Path) -> float:
    """Return the mean over seeds of the balanced accuracy on all validation parts together."""
    predictions, _ = read_predictions(path)
    values = []
    for layer in predictions.probabilities:
        counts = confusion_matrix(predictions.labels, layer.argmax(axis=1))
        support = counts.sum(axis=1)
        values.append((np.diag(counts)[support > 0] / support[support > 0]).mean())
    return float(np.mean(values))
