"""Model cards: what each experiment is, must not be used for, and how well it does, filled from results."""

from typing import Any

import pandas as pd

from skinlesion.files import read_csv, read_json
from skinlesion.params import Params
from skinlesion.report.tables import Result, count_runs
from skinlesion.report.text import render_text
from skinlesion.stages.contracts import ASSESSMENT_NAME, EXTERNAL_NAME, METADATA_VALUE_NAME
from skinlesion.stages.workspace import Workspace
from skinlesion.vocabulary import CLASS_NAMES, CLASSES

_FIGURES = {
    "balanced accuracy": "balanced_accuracy", "macro F1": "macro_f1", "weighted F1": "weighted_f1",
    "accuracy": "accuracy", "macro AUC": "macro_auc", "malignant AUC": "malignant_auc",
}  # fmt: skip
_ASSESSED = {
    "ECE": "ece_uncalibrated",
    "ECE after calibration": "ece_calibrated",
    "Brier score after calibration": "brier_calibrated",
    "malignant, observed over expected": "malignant_observed_to_expected",
    "malignant, calibration intercept": "malignant_calibration_intercept",
    "malignant, calibration slope": "malignant_calibration_slope",
    "conformal coverage, LAC by class": "conformal_coverage_lac_by_class",
    "answers in a conformal set": "conformal_set_size_lac_by_class",
    "accuracy on the surest 80 %": "accuracy_at_80_percent_coverage",
    "malignant sensitivity at 90 % specificity": "malignant_sensitivity_at_90_percent_specificity",
    "malignant average precision": "malignant_average_precision",
    "expected cost of an image": "expected_cost",
    "melanomas called benign in 1,000 lesions": "melanomas_called_benign_per_1000_lesions",
    "balanced accuracy by lesion": "by_lesion_balanced_accuracy",
}  # fmt: skip
_METADATA = {
    "image-only twin, difference": "gain_over_image_only",
    "with records of other lesions": "balanced_accuracy_records_exchanged",
    "with all fields missing": "balanced_accuracy_all_missing",
    "share of missing records at which the lead is gone": "break_even_share_missing",
}
_WORST = ("balanced_accuracy", "malignant_sensitivity")


def card(params: Params, workspace: Workspace, result: Result, prepared: dict[str, Any]) -> str:
    """Return the model card of one experiment as Markdown.

    Raises:
        UserError: a file of an earlier stage is missing.
    """
    name, settings = result.name, params.experiment(result.name)
    remedy = f"run `skinlesion assess {name}`"
    assessment = read_json(workspace.assessment(name) / ASSESSMENT_NAME, remedy)
    value = read_json(workspace.metadata_value / METADATA_VALUE_NAME, "run `skinlesion metadata` first").get(name, {})
    groups = read_csv(
        workspace.assessment(name) / "subgroups.csv", ("column", "group"), remedy, dtype={"group": str, "worst": str}
    )
    notes, metrics = result.notes, result.metrics
    counts = prepared["images_by_class"]
    rarest = min((dx for dx in CLASSES if counts.get(dx)), key=lambda dx: counts[dx])
    protocol = "lesion" if settings.protocol == "lesion" else "image (images of one lesion stand on both sides: leaky)"
    return render_text(
        "card.md.j2",
        name=name,
        synthetic=prepared["synthetic"],
        dataset=prepared["source"],
        facts=[
            ("backbone", f"{result.system['backbone']}, weights {settings.weights}"),
            ("input", result.system["input"]),
            ("training", f"{result.system['training']}, loss {settings.loss}, augmentation {settings.augment.preset}"),
            ("models", count_runs(len(settings.folds), len(settings.seeds))),
            ("made by", f"skinlesion {notes['versions']['skinlesion']}, torch {notes['versions']['torch']}"),
            ("on", f"{notes['device']['name']} ({notes['device']['type']})"),
            ("licence", "code Apache-2.0; weights follow the data's licence (HAM10000: CC BY-NC 4.0)"),
        ],
        classes=", ".join(f"{dx} ({words})" for dx, words in CLASS_NAMES.items()),
        protocol=f"split by {protocol}, paired with other systems on the same images",
        data=f"{notes['images']:,} tested images of {notes['lesions']:,} lesions, of {prepared['images']:,} prepared.",
        attribution=prepared["attribution"],
        how=f"Out-of-fold, mean over seeds; in brackets: {notes['interval']}.",
        figures=[(title, figure(metrics, key)) for title, key in _FIGURES.items()],
        sensitivities=", ".join(f"{dx} {figure(metrics, f'sensitivity_{dx}')}" for dx in CLASSES),
        assessed=[(title, figure(assessment, key)) for title, key in _ASSESSED.items()],
        metadata=[(title, figure(value, key)) for title, key in _METADATA.items()] if value else [],
        worst=_worst(groups),
        external=_external(params, workspace, name),
        rarest=f"{counts[rarest]} images are {rarest}",
        class_weights=settings.class_weights,
        uses_metadata=settings.uses_metadata,
    )


def figure(figures: dict[str, float], name: str) -> str:
    """Return a value with its interval in words, "undefined" where there is none."""
    if name not in figures:
        return "undefined"
    places = 1 if abs(figures[name]) >= 10 else 3
    text = f"{figures[name]:.{places}f}"
    if f"{name}_low" not in figures:
        return text
    return f"{text} ({figures[f'{name}_low']:.{places}f} to {figures[f'{name}_high']:.{places}f})"


def _worst(groups: pd.DataFrame) -> list[dict[str, Any]]:
    found = groups[(groups["worst"] == "worst") & groups["metric"].isin(_WORST)]
    return [
        {
            "column": row["column"], "group": row["group"], "images": row["images"], "lesions": row["lesions"],
            "metric": row["metric"].replace("_", " "),
            "value": f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
            "rest": "" if pd.isna(row["rest"]) else f"{row['rest']:.3f}",
            "p": "" if pd.isna(row["p_adjusted"]) else f"{row['p_adjusted']:.3f}",
        }
        for row in found.to_dict("records")
    ]  # fmt: skip


def _external(params: Params, workspace: Workspace, name: str) -> list[str]:
    if not params.external:
        return []
    found = read_json(workspace.results(name) / EXTERNAL_NAME, f"run `skinlesion evaluate --experiment {name}`")
    return [
        f"{one.name}: balanced accuracy {figure(found[one.name], 'balanced_accuracy')} among the classes it shows, "
        f"{figure(found[one.name], 'open_balanced_accuracy')} with all seven open, "
        f"{found[one.name]['images']:.0f} images"
        for one in params.external
    ]
