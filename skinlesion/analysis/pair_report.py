"""The report of a comparison, as `compare --json` prints it: every pair of models, their design effects and flips."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from skinlesion.analysis.columns import LINEAR_METHOD, NAIVE_METHOD
from skinlesion.analysis.comparison import compare, pair_flips
from skinlesion.analysis.judgement import judge
from skinlesion.analysis.plan import Plan
from skinlesion.errors import UserError, name_some
from skinlesion.evaluation.predictions import Predictions, check_lesions


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
    p: float | None = Field(description="Two-sided p-value; null where the models never differ.")
    method: str
    about: str = Field(description="What the row is about: these trained models, or training these recipes again.")
    undefined: int = Field(description="Bootstrap replicates without a value.")
    caution: str = Field(
        description="How far interval and test are known to miss their level; empty where they keep it."
    )
    family: str = Field(
        description="Of the row that carries the verdict: confirmatory (the primary metric) or exploratory."
    )
    adjustment: str = Field(description="How p and interval allow for the family.")
    p_adjusted: float | None
    low_adjusted: float | None = Field(description="Lower end of the interval that agrees with p_adjusted.")
    high_adjusted: float | None
    margin: float | None = Field(description="The smallest difference in the metric that matters.")
    verdict: str = Field(
        description="The direction of b − a and its size against the margin, or why there is no verdict; empty for "
        "rows that carry none."
    )


class ComparisonReport(BaseModel):
    """What `skinlesion compare --json` prints."""

    images: int
    lesions: int = Field(description="Clusters of the bootstrap: lesions, or images with --cluster none.")
    replicates: int
    seed: int
    primary: str = Field(description="The metric that the confirmatory family is about.")
    margins: dict[str, float] = Field(description="Metric → the smallest difference that matters.")
    confidence: float
    warnings: list[str]
    comparisons: list[ComparisonRow]
    design_effect: dict[str, float] = Field(
        description="`a vs b: metric` → (clustered / naive interval width)²: images for each independent one."
    )
    flips: dict[str, dict[str, FlipReport]] = Field(description="`a vs b` → class → flips.")


def report_pairs(
    predictions: dict[str, Predictions], cluster: str, plan: Plan, warnings: list[str]
) -> ComparisonReport:
    """Compare every pair of predictions of the same images.

    Args:
        predictions: by model, in the order in which pairs (a, b) are made.
        cluster: "lesion_id", or "none" to take images as independent.
        plan: the metrics, the margins and the resamples.
        warnings: what the report passes on.

    Raises:
        UserError: images, diagnoses or lesions differ, or the images of one lesion in diagnosis; ids are named.
    """
    names = list(predictions)
    for name in names[1:]:
        check_same_images(names[0], predictions[names[0]], name, predictions[name])
    if cluster != "none":
        check_lesions(predictions[names[0]], names[0])  # whose lesions and diagnoses are those of all
    else:
        predictions = {name: replace(members, lesions=members.image_ids) for name, members in predictions.items()}
    pairs = list(combinations(names, 2))
    compared = compare(predictions, pairs, plan)
    table = judge(compared.table, compared.differences, plan, {(a, b, plan.primary) for a, b in pairs})
    first = predictions[names[0]]
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return ComparisonReport(
        images=len(first.labels),
        lesions=len(np.unique(first.lesions)),
        replicates=plan.replicates_for(len(first.labels)),
        seed=plan.seed,
        primary=plan.primary,
        margins=dict(plan.margins),
        confidence=plan.confidence,
        warnings=warnings,
        comparisons=[ComparisonRow.model_validate(row) for row in rows],
        design_effect=_design_effects(rows),
        flips={
            f"{a} vs {b}": {
                flips.class_name: FlipReport(cases=flips.cases, lost=list(flips.lost), gained=list(flips.gained))
                for flips in pair_flips(predictions[a], predictions[b])
            }
            for a, b in pairs
        },
    )


def check_same_images(a: str, first: Predictions, b: str, second: Predictions) -> None:
    """Check that the models a and b were tested on the same images, with the same diagnoses and lesions.

    Raises:
        UserError: they were not; the message names ids.
    """
    only_a, only_b = set(first.image_ids) - set(second.image_ids), set(second.image_ids) - set(first.image_ids)
    if only_a or only_b:
        parts = [
            f"{len(ids):,} only in {name}: {name_some(sorted(ids), 5)}"
            for name, ids in ((a, only_a), (b, only_b))
            if ids
        ]
        raise UserError(f"{a} and {b} hold different images ({'; '.join(parts)}); compare the same test set")
    differ = first.labels != second.labels
    if differ.any():
        raise UserError(
            f"{a} and {b} give different diagnoses to {name_some(first.image_ids[differ], 5)}; correct the column dx"
        )
    differ = first.lesions != second.lesions
    if differ.any():
        raise UserError(
            f"{a} and {b} give different lesions to {name_some(first.image_ids[differ], 5)}; "
            "add lesion_id to both files, or give one table with --truth"
        )


def _design_effects(rows: list[dict[Any, Any]]) -> dict[str, float]:
    width = {(row["a"], row["b"], row["metric"], row["method"]): _width(row) for row in rows}
    effects = {}
    for (a, b, metric, method), clustered in width.items():
        naive = width.get((a, b, metric, NAIVE_METHOD))
        if method == LINEAR_METHOD and clustered and naive:
            effects[f"{a} vs {b}: {metric}"] = (clustered / naive) ** 2
    return effects


def _width(row: dict[Any, Any]) -> float | None:
    return None if row["low"] is None or row["high"] is None else row["high"] - row["low"]
