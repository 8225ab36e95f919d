"""compare, score: the same statistics as the `stats` stage, on prediction files from anywhere."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from skinlesion.errors import UserError, choices, name_some
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.params import EvaluateParams
from skinlesion.stages.contracts import BOOTSTRAP_METHOD, NAIVE_METHOD
from skinlesion.stages.pairs import SCHEMA, Plan, compare, pair_flips
from skinlesion.stages.results import mean_temperature, summarise


class FlipReport(BaseModel):
    """Images of one class whose answer changes from a to b."""

    cases: int = Field(description="Images of the class.")
    lost: list[str] = Field(description="Ids right under a and wrong under b.")
    gained: list[str] = Field(description="Ids wrong under a and right under b.")


class ComparisonRow(BaseModel):
    """One pair, metric and method; the columns of comparisons.csv. A value that is undefined is null."""

    a: str = Field(description="The model it starts from.")
    b: str = Field(description="The model compared with it.")
    metric: str
    a_value: float | None = Field(description="The metric of a; null where it is undefined, a class being absent.")
    b_value: float | None
    difference: float | None = Field(description="b − a.")
    low: float | None = Field(description="Lower end of the interval of the difference, where the method has one.")
    high: float | None
    p: float = Field(description="Two-sided p-value.")
    p_adjusted: float = Field(description="Holm over the pairs for the primary metric, Benjamini–Hochberg otherwise.")
    method: str
    verdict: Literal["", "equivalent", "superior", "inferior", "non-inferior", "inconclusive"] = Field(
        description="What the clustered interval and the margin say of b; empty for other methods."
    )


class ComparisonReport(BaseModel):
    """What `skinlesion compare --json` prints."""

    images: int
    lesions: int = Field(description="Clusters of the bootstrap: lesions, or images with --cluster none.")
    replicates: int
    seed: int
    margin: float
    confidence: float
    warnings: list[str]
    comparisons: list[ComparisonRow]
    design_effect: dict[str, float] = Field(
        description="`a vs b: metric` → (clustered / naive interval width)²: images for each independent one."
    )
    flips: dict[str, dict[str, FlipReport]] = Field(description="`a vs b` → class → flips.")


def compare_files(
    files: Sequence[Path], truth: Path | None, cluster: str, plan: Plan, names: Sequence[str] | None = None
) -> ComparisonReport:
    """Compare every pair of prediction files.

    Args:
        files: two or more files with our columns or the ISIC challenge's.
        truth: a metadata table with `image_id, dx` and maybe `lesion_id`, for files that lack them.
        cluster: "lesion_id", or "none" to take images as independent.
        names: what to call them; otherwise file names, or as much of the paths as tells them apart.

    Raises:
        UserError: a file is bad, or files speak of different images (ids are named).
    """
    if len(files) < 2:
        raise UserError("compare: give two or more prediction files")
    if cluster not in ("lesion_id", "none"):
        raise UserError(f"--cluster {cluster}: {choices(('lesion_id', 'none'), cluster)}")
    for metric in plan.metrics:
        if metric not in SCHEMA.metrics():
            raise UserError(f"--metric {metric}: unknown; {choices(SCHEMA.metrics(), metric)}")
    predictions: dict[str, Predictions] = {}
    warnings: list[str] = []
    for name, path in zip(names or _names(files), files, strict=True):
        predictions[name], own = read_predictions(path, truth)
        warnings += own
    return report_pairs(predictions, cluster, plan, warnings)


def report_pairs(
    predictions: dict[str, Predictions], cluster: str, plan: Plan, warnings: list[str]
) -> ComparisonReport:
    """Compare every pair of predictions that speak of the same images.

    Raises:
        UserError: they do not; ids are named.
    """
    names = list(predictions)
    for name in names[1:]:
        _same_images(names[0], predictions[names[0]], name, predictions[name])
    if cluster == "none":
        predictions = {name: _unclustered(one) for name, one in predictions.items()}
    pairs = list(combinations(names, 2))
    compared = compare(predictions, pairs, plan)
    first = predictions[names[0]]
    rows = compared.table.astype(object).where(compared.table.notna(), None).to_dict("records")
    return ComparisonReport(
        images=len(first.labels),
        lesions=len(np.unique(first.lesions)),
        replicates=plan.replicates,
        seed=plan.seed,
        margin=plan.margin,
        confidence=plan.confidence,
        warnings=warnings,
        comparisons=[ComparisonRow.model_validate(row) for row in rows],
        design_effect=_design_effects(rows),
        flips={
            f"{a} vs {b}": {
                one.class_name: FlipReport(cases=one.cases, lost=list(one.lost), gained=list(one.gained))
                for one in pair_flips(predictions[a], predictions[b])
            }
            for a, b in pairs
        },
    )


def score_file(
    path: Path, truth: Path | None, settings: EvaluateParams, validation: Path | None = None
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return metrics and notes of one predictions file: the same figures as metrics.json.

    Args:
        validation: predictions of validation parts by the same runs; `temperature` needs them.

    Raises:
        UserError: a file cannot be read, or validation lacks a run.
    """
    predictions, warnings = read_predictions(path, truth)
    values, notes = summarise(predictions, settings)
    if validation is not None:
        fitted, _ = read_predictions(validation, truth)
        values["temperature"] = mean_temperature(predictions, fitted)
    return values, notes | {"warnings": warnings}


def _same_images(a: str, one: Predictions, b: str, other: Predictions) -> None:
    only_a, only_b = set(one.image_ids) - set(other.image_ids), set(other.image_ids) - set(one.image_ids)
    if only_a or only_b:
        parts = [
            f"{len(ids):,} only in {name}: {name_some(sorted(ids), 5)}"
            for name, ids in ((a, only_a), (b, only_b))
            if ids
        ]
        raise UserError(f"{a} and {b} speak of different images ({'; '.join(parts)}); compare the same test set")
    differ = one.labels != other.labels
    if differ.any():
        raise UserError(f"{a} and {b} give different diagnoses to {name_some(one.image_ids[differ], 5)}; mend dx")
    differ = one.lesions != other.lesions
    if differ.any():
        raise UserError(
            f"{a} and {b} give different lesions to {name_some(one.image_ids[differ], 5)}; "
            "add lesion_id to both files, or give one table with --truth"
        )


def _unclustered(one: Predictions) -> Predictions:
    return Predictions(one.image_ids, one.image_ids, one.labels, one.folds, one.seeds, one.probabilities)


def _design_effects(rows: list[dict[Any, Any]]) -> dict[str, float]:
    width = {(row["a"], row["b"], row["metric"], row["method"]): _width(row) for row in rows}
    found = {}
    for (a, b, metric, method), clustered in width.items():
        naive = width.get((a, b, metric, NAIVE_METHOD))
        if method == BOOTSTRAP_METHOD and clustered and naive:
            found[f"{a} vs {b}: {metric}"] = (clustered / naive) ** 2
    return found


def _width(row: dict[Any, Any]) -> float | None:
    return None if row["low"] is None or row["high"] is None else row["high"] - row["low"]


def _names(files: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that tell the files apart, without `predictions.csv`."""
    parts = [
        (path.parent if path.name == "predictions.csv" else path.with_suffix("")).absolute().parts for path in files
    ]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"compare: {files[0]} is given twice; give different files")
