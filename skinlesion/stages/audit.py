"""audit: what a careful reader would look for in the data: duplicates, overlap, shortcuts. Nothing is changed by it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.duplicates import exact_duplicates
from skinlesion.data.near_duplicates import (
    Calibration,
    Whitening,
    calibrate,
    candidate_pairs,
    fit_whitening,
    perceptual_hashes,
)
from skinlesion.data.shortcuts import PREDICTORS, facts, out_of_fold
from skinlesion.data.splits import SAME_LESION, crossing_lesions, lesion_groups
from skinlesion.data.store import FILES_NAME, read_files
from skinlesion.errors import UserError, name_some
from skinlesion.files import write_csv, write_json, write_text
from skinlesion.params import AuditParams, Params
from skinlesion.report.audit_page import audit_page
from skinlesion.stages.contracts import (
    AUDIT_NAME,
    AUDIT_PAGE_NAME,
    OVERLAP_COLUMNS,
    OVERLAP_NAME,
    PAIR_COLUMNS,
    PAIRS_NAME,
    SHORTCUTS_NAME,
)
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.results import SCHEMA
from skinlesion.stages.workspace import Workspace
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.vocabulary import CLASSES

#: Rates at which the calibration is also stated, so that a reader sees what the chosen one costs.
_RATES = (1e-7, 1e-6, 1e-5, 1e-4)


def audit(params: Params, workspace: Workspace) -> dict[str, Any]:
    """Write reports/audit/: audit.json, pairs.csv, overlap.csv and shortcuts.csv; return the content of the first.

    Raises:
        UserError: data or splits are missing, or near-duplicates lie across parts and the settings forbid it.
    """
    settings = params.audit
    inputs = Inputs(workspace, params.auditor(), params.split)
    looks = _Looks.of(inputs)
    candidates = candidate_pairs(looks.hashes, looks.unit, None, looks.unit, settings.hash_distance)
    lesions, groups = inputs.table["lesion_id"].to_numpy(), lesion_groups(inputs.table)
    calibration = calibrate(candidates, lesions, groups, settings.false_positive_rate)

    pairs = _pairs(inputs, candidates, groups, calibration)
    overlap = pd.concat(
        [
            pd.DataFrame(columns=list(OVERLAP_COLUMNS)),
            *(_overlap(workspace, one.name, params, inputs, looks, calibration) for one in params.external),
        ]
    )
    shortcuts = _shortcuts(inputs, settings)
    content = {
        "images": len(inputs.table),
        "lesions": int(inputs.table["lesion_id"].nunique()),
        "lesions_across_parts": len(crossing_lesions(inputs.split)),
        "exact_duplicates": _count(pairs, "bytes", "pixels"),
        "near_duplicates": _count(pairs, "near"),
        "near_duplicates_across_parts": len(_crossing(pairs[pairs["kind"] == "near"])),
        "known_pairs": _count(pairs, "known, found", "known, not found"),
        "known_pairs_found": _count(pairs, "known, found"),
        "calibration": {
            "backbone": inputs.settings.backbone,
            "hash_distance": settings.hash_distance,
            **_stated(calibration),
        },
        "calibration_by_rate": {
            f"{rate:.0e}": _stated(made) | {"known_pairs_found": _known_at(inputs, candidates, made)}
            for rate, made in ((rate, calibrate(candidates, lesions, groups, rate)) for rate in _RATES)
        },
        "overlap": {one.name: int((overlap["external"] == one.name).sum()) for one in params.external},
    }
    write_csv(workspace.audit / PAIRS_NAME, pairs, float_format="%.6g")
    write_csv(workspace.audit / OVERLAP_NAME, overlap, float_format="%.6g")
    write_csv(workspace.audit / SHORTCUTS_NAME, shortcuts, float_format="%.6g")
    write_json(workspace.audit / AUDIT_NAME, content)
    tables = {"pairs": pairs, "overlap": overlap, "shortcuts": shortcuts}
    outside = {one.name: Inputs(workspace.outside(one.name), inputs.settings, params.split) for one in params.external}
    page = audit_page(
        params.report.title, inputs.described, content, tables, _pixels(inputs),
        {name: _pixels(other) for name, other in outside.items()},
        shown=settings.shown, chance=1 / len(CLASSES),
    )  # fmt: skip
    write_text(workspace.audit / AUDIT_PAGE_NAME, page)
    _judge(settings, pairs, workspace.audit)
    return content


@dataclass(frozen=True)
class _Looks:
    """What images are compared by."""

    hashes: np.ndarray  # (8, N) uint64
    whitening: Whitening
    features: np.ndarray  # (N, W)

    @classmethod
    def of(cls, inputs: Inputs, whitening: Whitening | None = None) -> "_Looks":
        features = inputs.features().array
        return cls(perceptual_hashes(inputs.images), whitening or fit_whitening(features), features)

    @cached_property
    def unit(self) -> np.ndarray:
        return self.whitening.unit(self.features)


def _pairs(inputs: Inputs, candidates: pd.DataFrame, groups: np.ndarray, calibration: Calibration) -> pd.DataFrame:
    """Return pairs.csv: exact duplicates, pairs known to show one lesion, and near-duplicates of different lesions."""
    ids = inputs.table["image_id"].to_numpy()
    first, second = candidates["first"].to_numpy(), candidates["second"].to_numpy()
    named = candidates.assign(first=ids[first], second=ids[second])
    exact = exact_duplicates(read_files(inputs.workspace.prepared / FILES_NAME)).rename(columns={"equal": "kind"})
    suspicious = (groups[first] != groups[second]) & (named["cosine"] >= calibration.threshold)
    near = named[suspicious].assign(kind="near").sort_values("cosine", ascending=False)

    known = pd.DataFrame([sorted(pair) for pair in SAME_LESION if set(pair) <= set(ids)], columns=["first", "second"])
    known = known.merge(named, how="left", on=["first", "second"])
    found = known["cosine"] >= calibration.threshold
    known["kind"] = np.where(found, "known, found", "known, not found")

    table = pd.concat([part for part in (exact, known, near) if len(part)] or [near], ignore_index=True)
    about = inputs.split.set_index("image_id")
    for side in ("first", "second"):
        for column, of in (("lesion", "lesion_id"), ("dx", "dx"), ("part", "part")):
            table[f"{side}_{column}"] = table[side].map(about[of])
    return table.reindex(columns=list(PAIR_COLUMNS))


def _known_at(inputs: Inputs, candidates: pd.DataFrame, calibration: Calibration) -> int:
    ids = inputs.table["image_id"].to_numpy()
    passing = candidates[candidates["cosine"] >= calibration.threshold]
    pairs = set(zip(ids[passing["first"]], ids[passing["second"]], strict=True))
    return sum(tuple(sorted(pair)) in pairs for pair in SAME_LESION)


def _overlap(
    workspace: Workspace, name: str, params: Params, inputs: Inputs, looks: _Looks, calibration: Calibration
) -> pd.DataFrame:
    """Return the images of an external set that are also in the data set, each with the strongest reason."""
    outside = Inputs(workspace.outside(name), inputs.settings, inputs.split_settings)
    mine, theirs = inputs.table, outside.table
    my_files, their_files = (read_files(one.workspace.prepared / FILES_NAME) for one in (inputs, outside))
    their_looks = _Looks.of(outside, looks.whitening)
    near = candidate_pairs(their_looks.hashes, their_looks.unit, looks.hashes, looks.unit, params.audit.hash_distance)
    near = near[near["cosine"] >= calibration.threshold].sort_values("cosine", ascending=False)
    near = near.assign(
        image_id=theirs["image_id"].to_numpy()[near["first"]],
        training_image_id=mine["image_id"].to_numpy()[near["second"]],
        reason="near-duplicate",
    )
    # The surest reason first: an image counts once.
    found = [
        _equal(theirs, mine, "image_id", "image_id"),
        _equal(their_files, my_files, "sha256", "bytes"),
        _equal(their_files, my_files, "pixels_sha256", "pixels"),
        _equal(theirs, mine, "lesion_id", "lesion_id"),
        near,
    ]
    table = pd.concat([part for part in found if len(part)] or [near], ignore_index=True)
    table = table.drop_duplicates("image_id").sort_values("image_id", ignore_index=True)
    return table.assign(external=name).reindex(columns=list(OVERLAP_COLUMNS))


def _equal(theirs: pd.DataFrame, mine: pd.DataFrame, column: str, reason: str) -> pd.DataFrame:
    """Return their images that agree with one of mine in a column."""
    first = mine.drop_duplicates(column).set_index(column, drop=False)["image_id"]
    both = theirs[theirs[column].isin(first.index)]
    return pd.DataFrame({"image_id": both["image_id"], "training_image_id": both[column].map(first), "reason": reason})


def _shortcuts(inputs: Inputs, settings: AuditParams) -> pd.DataFrame:
    """Return shortcuts.csv: for each group of facts how well it alone predicts the diagnosis, with intervals."""
    table = facts(inputs.table, read_files(inputs.workspace.prepared / FILES_NAME), inputs.images)
    rows = []
    metrics = ["balanced_accuracy", "macro_auc"]
    for name, columns in PREDICTORS.items():
        present = tuple(column for column in columns if column in table.columns)
        if not present or table[list(present)].nunique().max() < 2:
            reason = "not in this data set" if not present else "the same for every image"
            rows.append({"predictor": name, "columns": " ".join(columns), "note": reason})
            continue
        probabilities = out_of_fold(table, present, inputs.labels, inputs.split["part"].to_numpy())
        resampled = bootstrap(
            inputs.labels, [probabilities[None]], inputs.table["lesion_id"].to_numpy(), metrics, SCHEMA,
            replicates=settings.replicates, seed=0,
        )  # fmt: skip
        row: dict[str, Any] = {"predictor": name, "columns": " ".join(present), "note": ""}
        for metric in metrics:
            interval = resampled.interval(0, metric, 0.95)
            row |= {metric: interval.estimate, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        rows.append(row)
    figures = [f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high")]
    return pd.DataFrame(rows).reindex(columns=["predictor", "columns", *figures, "note"])


def _pixels(inputs: Inputs) -> Callable[[str], np.ndarray]:
    rows = {image_id: row for row, image_id in enumerate(inputs.table["image_id"])}
    return lambda image_id: inputs.images[rows[image_id]]


def _stated(calibration: Calibration) -> dict[str, float]:
    return {
        "cosine_threshold": calibration.threshold,
        "false_positive_rate": calibration.false_positive_rate,
        "different_lesion_pairs": calibration.different_pairs,
        "same_lesion_pairs": calibration.same_pairs,
        "same_lesion_pairs_found": calibration.sensitivity,
    }


def _count(pairs: pd.DataFrame, *kinds: str) -> int:
    return int(pairs["kind"].isin(kinds).sum())


def _crossing(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs[pairs["first_part"] != pairs["second_part"]]


def _judge(settings: AuditParams, pairs: pd.DataFrame, folder: Path) -> None:
    crossing = _crossing(pairs[pairs["kind"] == "near"])
    if settings.on_near_duplicates == "stop" and len(crossing):
        listed = name_some(f"{pair.first} and {pair.second}" for pair in crossing.itertuples())
        raise UserError(
            f"audit: near-duplicates across parts: {listed}; look at {folder / AUDIT_PAGE_NAME}, give pairs of one "
            "lesion one lesion_id, or set audit.on_near_duplicates: report"
        )
