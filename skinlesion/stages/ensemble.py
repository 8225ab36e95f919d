"""ensemble: several experiments' predictions in one, weighted on validation parts, with metrics like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.evaluation.ensembles import combine, member_weights
from skinlesion.evaluation.predictions import COLUMNS, FLOAT_FORMAT
from skinlesion.files import read_csv, read_json, write_csv, write_json
from skinlesion.params import EnsembleParams, EvaluateParams
from skinlesion.stages.contracts import METRICS_NAME, NOTES_NAME, PREDICTIONS_NAME, VALIDATION_NAME
from skinlesion.stages.results import write_results
from skinlesion.stages.workspace import Workspace
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

WEIGHTS_NAME = "weights.csv"
_KEYS = ["seed", "fold", "image_id"]


def ensemble(settings: EnsembleParams, evaluate: EvaluateParams, workspace: Workspace, out: Path) -> dict[str, float]:
    """Combine the members' predictions run by run (fold and seed) and write what `evaluate` writes, to `out`.

    The weights of a run come from that run's validation part alone.

    Returns:
        The content of metrics.json.

    Raises:
        UserError: members were not evaluated, or differ in images, folds, seeds or protocol.
    """
    notes = {name: _notes(workspace, name) for name in settings.members}
    _check_alike(notes)
    test = _stack(workspace, settings.members, PREDICTIONS_NAME)
    validation = _stack(workspace, settings.members, VALIDATION_NAME)
    weight_rows: list[dict[str, Any]] = []
    mixed = {"test": np.empty_like(test.probabilities[0]), "validation": np.empty_like(validation.probabilities[0])}
    for (seed, fold), rows in validation.runs().items():
        weights = member_weights(settings.method, validation.labels[rows], validation.probabilities[:, rows])
        tested = test.runs()[seed, fold]
        mixed["test"][tested] = combine(weights, test.probabilities[:, tested])
        mixed["validation"][rows] = combine(weights, validation.probabilities[:, rows])
        weight_rows.append({"seed": seed, "fold": fold} | dict(zip(settings.members, weights, strict=True)))
    write_csv(out / PREDICTIONS_NAME, test.table(mixed["test"]), float_format=FLOAT_FORMAT)
    write_csv(out / VALIDATION_NAME, validation.table(mixed["validation"]), float_format=FLOAT_FORMAT)
    write_csv(out / WEIGHTS_NAME, pd.DataFrame(weight_rows), float_format="%.6g")
    metrics, described = write_results(out, evaluate)
    write_json(out / NOTES_NAME, described | _provenance(settings, notes))
    write_json(out / METRICS_NAME, metrics)
    return metrics


class _Stacked:
    """The same runs of several members, row by row."""

    def __init__(self, frame: pd.DataFrame, probabilities: np.ndarray) -> None:
        self.frame = frame
        self.probabilities = probabilities  # (M, N, 7)
        self.labels = pd.Categorical(frame["dx"], categories=list(CLASSES)).codes.astype(np.int64)

    def runs(self) -> dict[tuple[int, int], np.ndarray]:
        """Return the rows of each (seed, fold)."""
        seeds, folds = self.frame["seed"].to_numpy(), self.frame["fold"].to_numpy()
        wanted = sorted(set(zip(seeds.tolist(), folds.tolist(), strict=True)))
        return {(seed, fold): np.flatnonzero((seeds == seed) & (folds == fold)) for seed, fold in wanted}

    def table(self, probabilities: np.ndarray) -> pd.DataFrame:
        table = self.frame.copy()
        table[list(PROBABILITY_COLUMNS)] = probabilities
        return table[list(COLUMNS)]


def _stack(workspace: Workspace, members: list[str], name: str) -> _Stacked:
    tables = []
    for member in members:
        path = workspace.results(member) / name
        text = {"image_id": str, "lesion_id": str, "dx": str}
        table = read_csv(path, COLUMNS, f"run `skinlesion evaluate --experiment {member}`", dtype=text)
        tables.append(table.sort_values(_KEYS, ignore_index=True))
        if not tables[-1][_KEYS].equals(tables[0][_KEYS]):
            raise UserError(
                f"ensembles: {members[0]} and {member} were run on other folds, seeds or images; give them the same"
            )
    return _Stacked(tables[0], np.stack([table[list(PROBABILITY_COLUMNS)].to_numpy() for table in tables]))


def _notes(workspace: Workspace, name: str) -> dict[str, Any]:
    remedy = f"run `skinlesion evaluate --experiment {name}`"
    content: dict[str, Any] = read_json(workspace.results(name) / NOTES_NAME, remedy)
    return content


def _check_alike(notes: dict[str, dict[str, Any]]) -> None:
    """Refuse members of two protocols: one may have been trained on lesions that the other is tested on."""
    protocols = {name: one["system"]["protocol"] for name, one in notes.items()}
    if len(set(protocols.values())) > 1:
        listed = ", ".join(f"{name} by {protocol}" for name, protocol in protocols.items())
        raise UserError(f"ensembles: members are split differently ({listed}); take members of one protocol")


def _provenance(settings: EnsembleParams, notes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    first = next(iter(notes.values()))
    kept = {name: first[name] for name in ("source", "synthetic", "data", "versions", "device")}
    inputs = {one["system"]["input"] for one in notes.values()}
    return kept | {
        "ensemble": settings.model_dump(mode="json"),
        "system": {
            "backbone": " + ".join(dict.fromkeys(one["system"]["backbone"] for one in notes.values())),
            "input": inputs.pop() if len(inputs) == 1 else "mixed",
            "protocol": first["system"]["protocol"],
            "training": f"{settings.method} of {', '.join(notes)}",
        },
    }
