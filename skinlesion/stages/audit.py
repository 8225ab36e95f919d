"""audit: looks for duplicates, overlap with external data, and shortcuts to the diagnosis; changes no data."""

from pathlib import Path
from typing import Any

import pandas as pd

from skinlesion.analysis.shortcuts import shortcut_table
from skinlesion.data.audit import Appearance, AuditedImages, PairAudit, audit_pairs, overlapping_images
from skinlesion.data.duplicates import Whitening
from skinlesion.data.known_pairs import read_known_pairs
from skinlesion.data.shortcuts import PREDICTORS, facts, out_of_fold
from skinlesion.data.store import FILES_NAME, read_files
from skinlesion.errors import ManyErrors, name_some
from skinlesion.experiment.inputs import Inputs
from skinlesion.files import write_csv, write_json
from skinlesion.params import AuditParams, Params, TrainParams
from skinlesion.results.names import (
    AUDIT_NAME,
    OVERLAP_COLUMNS,
    OVERLAP_NAME,
    PAIR_COLUMNS,
    PAIRS_NAME,
    SHORTCUTS_NAME,
)
from skinlesion.results.workspace import Workspace


def audit(params: Params, workspace: Workspace) -> dict[str, Any]:
    """Write reports/audit/: audit.json, pairs.csv, overlap.csv and shortcuts.csv; return the content of the first.

    Raises:
        UserError: data or splits are missing, or near-duplicates lie across parts and the settings forbid it.
    """
    settings = params.audit
    inputs = Inputs(workspace, auditor(params), params.split)
    external = {
        data.name: Inputs(workspace.outside(data.name), inputs.settings, params.split) for data in params.external
    }
    audited = _audited(inputs)
    pair_audit = audit_pairs(
        audited,
        inputs.split,
        read_known_pairs(workspace.known_pairs),
        hash_distance=settings.hash_distance,
        false_positive_rate=settings.false_positive_rate,
    )
    overlap = pd.concat(
        [pd.DataFrame(columns=list(OVERLAP_COLUMNS)), *(
            overlapping_images(
                _audited(other, audited.appearance.whitening), audited, pair_audit.calibration, settings.hash_distance
            ).assign(external=name)
            for name, other in external.items()
        )]
    ).reindex(columns=list(OVERLAP_COLUMNS))  # fmt: skip
    tables = {
        "pairs": pair_audit.pairs.reindex(columns=list(PAIR_COLUMNS)),
        "overlap": overlap,
        "shortcuts": _shortcuts(inputs, settings),
    }
    content = pair_audit.summary()
    content["calibration"] |= {"backbone": inputs.settings.backbone, "hash_distance": settings.hash_distance}
    content |= {
        "images": len(inputs.table),
        "lesions": int(inputs.table["lesion_id"].nunique()),
        "overlap": {name: int((overlap["external"] == name).sum()) for name in external},
    }
    for name, file in (("pairs", PAIRS_NAME), ("overlap", OVERLAP_NAME), ("shortcuts", SHORTCUTS_NAME)):
        write_csv(workspace.audit / file, tables[name], float_format="%.6g")
    write_json(workspace.audit / AUDIT_NAME, content)
    _stop_if_asked(settings, pair_audit, workspace.audit)
    return content


def auditor(params: Params) -> TrainParams:
    """Return the settings under which features are computed: those of `train`, image alone and frozen."""
    chosen = {"backbone": params.audit.backbone, "weights": params.audit.weights}
    plain = {"fusion": "none", "regime": "frozen", "protocol": "lesion", "records": "own", "injected": None}
    # A copy: settings of training that frozen features do not have, such as resolutions, need not fit them.
    return params.train.model_copy(update=plain | {name: value for name, value in chosen.items() if value is not None})


def _audited(inputs: Inputs, whitening: Whitening | None = None) -> AuditedImages:
    appearance = Appearance.of(inputs.images, inputs.features().array, whitening)
    return AuditedImages(inputs.table, read_files(inputs.workspace.prepared / FILES_NAME), appearance)


def _shortcuts(inputs: Inputs, settings: AuditParams) -> pd.DataFrame:
    predictors = facts(inputs.table, read_files(inputs.workspace.prepared / FILES_NAME), inputs.images)
    parts = inputs.split["part"].to_numpy()
    return shortcut_table(
        predictors,
        PREDICTORS,
        lambda columns: out_of_fold(predictors, columns, inputs.labels, parts),
        inputs.labels,
        inputs.table["lesion_id"].to_numpy(),
        settings.replicates,
    )


def _stop_if_asked(settings: AuditParams, pair_audit: PairAudit, folder: Path) -> None:
    """Raise ManyErrors where near-duplicates lie across parts and the settings forbid it."""
    crossing = pair_audit.crossing_near_duplicates
    if settings.on_near_duplicates == "stop" and len(crossing):
        listed = name_some(f"{pair.first} and {pair.second}" for pair in crossing.itertuples())
        raise ManyErrors(
            f"audit: near-duplicates across parts: {listed}; they are in {folder / PAIRS_NAME}; look at them with "
            "`skinlesion audit --page`, give pairs of one lesion one lesion_id, or set audit.on_near_duplicates: report"
        )
