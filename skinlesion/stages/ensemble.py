"""ensemble: a weighted mean of several experiments' predictions, evaluated like an experiment."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from skinlesion.errors import UserError, choices
from skinlesion.evaluation.ensembles import MemberPredictions, combine_runs
from skinlesion.evaluation.prediction_rows import FLOAT_FORMAT, read_rows
from skinlesion.files import write_csv, write_json
from skinlesion.params import EnsembleParams, Params
from skinlesion.reading import read_json
from skinlesion.results.names import METRICS_NAME, NOTES_NAME, PREDICTIONS_NAME, VALIDATION_NAME
from skinlesion.results.shapes import RunNotes
from skinlesion.results.summary_files import write_results
from skinlesion.results.workspace import Workspace, evaluate_command

WEIGHTS_NAME = "weights.csv"
_KEYS = ["repeat", "seed", "fold", "image_id"]


def ensemble(params: Params, workspace: Workspace, name: str) -> dict[str, float]:
    """Combine the members' predictions run by run (repeat, fold and seed) and write what `evaluate` writes.

    The weights of a run come from that run's validation part alone. Members that were run on more partitions than
    others are combined on those that all have.

    Returns:
        The content of metrics.json.

    Raises:
        UserError: no such ensemble, or members were not evaluated, or differ in images, folds, seeds or protocol.
    """
    if name not in params.ensembles:
        raise UserError(f"ensemble {name}: not among the ensembles of params.yaml; {choices(params.ensembles, name)}")
    settings, out = params.ensembles[name], workspace.ensemble(name)
    members = {member: evaluate_command(params, member) for member in settings.members}
    notes = {member: _notes(workspace, member, remedy) for member, remedy in members.items()}
    _check_alike(notes)
    test = _stack(workspace, members, PREDICTIONS_NAME)
    validation = _stack(workspace, members, VALIDATION_NAME)
    tested, validated, weights = combine_runs(settings.method, test, validation)
    write_csv(out / PREDICTIONS_NAME, tested, float_format=FLOAT_FORMAT)
    write_csv(out / VALIDATION_NAME, validated, float_format=FLOAT_FORMAT)
    rows = [
        dict(zip(_KEYS, run, strict=False)) | dict(zip(settings.members, run_weights, strict=True))
        for run, run_weights in weights.items()
    ]
    write_csv(out / WEIGHTS_NAME, pd.DataFrame(rows), float_format="%.6g")
    metrics, described = write_results(out, params.evaluate)
    write_json(out / NOTES_NAME, described | _provenance(settings, notes))
    write_json(out / METRICS_NAME, metrics)
    return metrics


def _stack(workspace: Workspace, members: Mapping[str, str], name: str) -> MemberPredictions:
    """Return a file of every member; `members` says what to run where it is missing."""
    tables: list[pd.DataFrame] = []
    first = next(iter(members))
    for member, remedy in members.items():
        table, _ = read_rows(workspace.results(member) / name, None, remedy)
        tables.append(table.sort_values(_KEYS, ignore_index=True))
    common = set.intersection(*(set(table["repeat"]) for table in tables))
    tables = [table[table["repeat"].isin(common)].reset_index(drop=True) for table in tables]
    for member, table in zip(members, tables, strict=True):
        if table.empty or not table[_KEYS].equals(tables[0][_KEYS]):
            raise UserError(
                f"ensembles: {first} and {member} were run on other folds, seeds or images; give them the same"
            )
    return MemberPredictions.stack(tables)


def _notes(workspace: Workspace, name: str, remedy: str) -> dict[str, Any]:
    content: dict[str, Any] = read_json(workspace.results(name) / NOTES_NAME, remedy, RunNotes)
    return content


def _check_alike(notes: dict[str, dict[str, Any]]) -> None:
    """Refuse members of two protocols: one may have been trained on lesions that the other is tested on."""
    protocols = {name: note["system"]["protocol"] for name, note in notes.items()}
    if len(set(protocols.values())) > 1:
        listed = ", ".join(f"{name} by {protocol}" for name, protocol in protocols.items())
        raise UserError(f"ensembles: members are split differently ({listed}); use members of one protocol")


def _provenance(settings: EnsembleParams, notes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    first = next(iter(notes.values()))
    common = {name: first[name] for name in ("source", "synthetic", "data", "versions", "device")}
    inputs = {note["system"]["input"] for note in notes.values()}
    return common | {
        "ensemble": settings.model_dump(mode="json"),
        "system": {
            "backbone": " + ".join(dict.fromkeys(note["system"]["backbone"] for note in notes.values())),
            "input": inputs.pop() if len(inputs) == 1 else "mixed",
            "protocol": first["system"]["protocol"],
            "training": f"{settings.method} of {', '.join(notes)}",
        },
    }
