"""Tables of selective classification: accuracy when the least certain images are deferred."""

import numpy as np
import pandas as pd

from skinlesion.analysis.assessment.inputs import AssessmentInputs
from skinlesion.evaluation.figure_names import accuracy_at_coverage
from skinlesion.evaluation.uncertainty import Selective, mutual_information, predictive_entropy, select

_COVERAGES = (0.8, 0.9)
_GRID = np.arange(1, 101) / 100


def selective_tables(inputs: AssessmentInputs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return figures (`certainty, metric, value, low, high, undefined, note`) and curves (`coverage`, error rates).

    Certainty is judged by the highest calibrated probability and by entropy, each training by itself; with several
    seeds also by the mutual information between seeds, on their mean prediction.
    """
    selections = {
        "probability": [_order(inputs, layer, layer.max(axis=1)) for layer in inputs.calibrated],
        "entropy": [_order(inputs, layer, -predictive_entropy(layer)) for layer in inputs.calibrated],
    }
    if len(inputs.calibrated) > 1:
        certainty_of_mean = -mutual_information(inputs.calibrated)
        selections["mutual_information"] = [_order(inputs, inputs.calibrated.mean(axis=0), certainty_of_mean)]
    rows, curves = [], {"coverage": _GRID}
    names = ["aurc", *(accuracy_at_coverage(coverage) for coverage in _COVERAGES)]
    for certainty, by_seed in selections.items():
        estimates = inputs.estimate_weighted([selected.figures(_COVERAGES) for selected in by_seed], names)
        rows += [
            {"certainty": certainty, "metric": name} | inputs.row(estimate) for name, estimate in estimates.items()
        ]
        curves[certainty] = np.mean([_curve(selected) for selected in by_seed], axis=0)
    return pd.DataFrame(rows), pd.DataFrame(curves)


def uncertainty_table(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return per image whether the seeds' mean answer is right, its probability, entropy, and mutual information."""
    average = inputs.calibrated.mean(axis=0)
    table = pd.DataFrame({
        "image_id": inputs.tested.image_ids,
        "lesion_id": inputs.tested.lesions,
        "right": average.argmax(axis=1) == inputs.labels,
        "probability": average.max(axis=1),
        "entropy": predictive_entropy(average),
    })  # fmt: skip
    if len(inputs.calibrated) > 1:
        table["mutual_information"] = mutual_information(inputs.calibrated)
    return table


def _order(inputs: AssessmentInputs, layer: np.ndarray, certainty: np.ndarray) -> Selective:
    return select(layer.argmax(axis=1) == inputs.labels, certainty, inputs.bootstrap.unit)


def _curve(selected: Selective) -> np.ndarray:
    coverage, risk = selected.curve()
    return np.asarray(np.interp(_GRID, coverage, risk))
