"""What a model gets right when it may leave the least sure images to somebody else."""

import numpy as np
import pandas as pd

from skinlesion.evaluation.uncertainty import Selective, mutual_information, predictive_entropy, select
from skinlesion.stages.assessment.material import Material

_COVERAGES = (0.8, 0.9)
_GRID = np.arange(1, 101) / 100


def selective_tables(material: Material) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return figures (`certainty, metric, value, low, high`) and curves (`coverage` and the error rate of each).

    Certainty is judged by the highest calibrated probability and by entropy, each training by itself; with several
    seeds also by their mutual information, on their mean prediction.
    """
    orders = {
        "probability": [_order(material, layer, layer.max(axis=1)) for layer in material.calibrated],
        "entropy": [_order(material, layer, -predictive_entropy(layer)) for layer in material.calibrated],
    }
    if len(material.calibrated) > 1:
        agreed = -mutual_information(material.calibrated)
        orders["mutual_information"] = [_order(material, material.calibrated.mean(axis=0), agreed)]
    rows, curves = [], {"coverage": _GRID}
    names = ["aurc", *(f"accuracy_at_{share:.0%}_coverage".replace("%", "_percent") for share in _COVERAGES)]
    for certainty, selected in orders.items():
        found = material.estimate_weighted([one.figures(_COVERAGES) for one in selected], names)
        rows += [{"certainty": certainty, "metric": name} | material.row(one) for name, one in found.items()]
        curves[certainty] = np.mean([_curve(one) for one in selected], axis=0)
    return pd.DataFrame(rows), pd.DataFrame(curves)


def uncertainty_table(material: Material) -> pd.DataFrame:
    """Return by image its answer over all seeds, the probability of it, entropy, and what the seeds disagree on."""
    average = material.calibrated.mean(axis=0)
    table = pd.DataFrame({
        "image_id": material.tested.image_ids,
        "lesion_id": material.tested.lesions,
        "right": average.argmax(axis=1) == material.labels,
        "probability": average.max(axis=1),
        "entropy": predictive_entropy(average),
    })  # fmt: skip
    if len(material.calibrated) > 1:
        table["mutual_information"] = mutual_information(material.calibrated)
    return table


def _order(material: Material, layer: np.ndarray, certainty: np.ndarray) -> Selective:
    return select(layer.argmax(axis=1) == material.labels, certainty)


def _curve(selected: Selective) -> np.ndarray:
    coverage, risk = selected.curve()
    return np.asarray(np.interp(_GRID, coverage, risk))
