"""Reanalysis of published predictions: what the images are, every published figure recomputed, and paired comparisons.

Nothing is fitted: there is no validation part to fit on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.metric_intervals import metric_intervals
from skinlesion.analysis.pair_report import ComparisonReport, report_pairs
from skinlesion.analysis.plan import Plan
from skinlesion.analysis.summary import summarise
from skinlesion.errors import UserError, name_some
from skinlesion.evaluation.predictions import Predictions, restrict_images
from skinlesion.evaluation.published_figures import PublishedFigure
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.evaluation.subgroups import make_groups
from skinlesion.params import EvaluateParams
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.multiplicity import holm_of_defined
from skinlesion.vocabulary import CLASSES

#: Published figures are equal to recomputed ones within this.
TOLERANCE = 1e-4

METRICS = ("balanced_accuracy", "accuracy", "macro_f1", "weighted_f1", "macro_auc", "malignant_auc", "sensitivity_mel")
_CALIBRATION = ("ece", "brier", "nll")
_GROUPS = ["age_band", "sex", "localization", "dataset", "confirmed"]
_GROUP_METRICS = ("accuracy", "malignant_auc")
#: Adjusted p-values below it call two models different.
LEVEL = 0.05

_FEWEST_IMAGES = 30  # of a group
_REPLICATES = 1000  # of the bootstrap of images whose mean some groups publish
_ERRORS = 3.0 * np.sqrt(2)  # Monte Carlo errors of two such means within which they count as one
_MACRO = "macro_"  # before a metric per class: its mean over the classes


@dataclass(frozen=True)
class Retest:
    """What is said of published predictions; tables have one row for each model, figure, pair or group.

    Attributes:
        certificate: which images these are, and what they share with other images of the archive.
        models: `model`, METRICS and the primary metric with `_low` and `_high`, calibration figures.
        figures: each published figure with `recomputed` and `equal`; where it differs, the mean over bootstrap
            replicates of the images, and whether it is that mean within Monte Carlo error.
        pairs: of every two models, by metric, with the difference and its interval, p adjusted by Holm, the verdict,
            and the published p-value where there is one.
        groups: accuracy and AUC of malignancy by age, sex, localization, source and histology.
    """

    certificate: dict[str, Any]
    models: pd.DataFrame
    figures: pd.DataFrame
    pairs: pd.DataFrame
    groups: pd.DataFrame
    level: float = LEVEL


def certify(
    predictions: Predictions,
    archive: pd.DataFrame,
    known_pairs: pd.DataFrame,
    training_ids: np.ndarray | None,
    audited_pairs: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return what is known of the images, and of what they share with others.

    Args:
        archive: the archive's metadata, known pairs joined in `lesion_id`.
        known_pairs: pairs of the archive's images (`first, second`) that show one lesion under two ids.
        training_ids: the images that the models were trained on, None where that is not known.
        audited_pairs: pairs.csv of the audit, for exact and near-duplicates under two lesion ids; None without audit.

    Raises:
        UserError: an image is among the training images, or a training image is not in the archive.
    """
    ids = predictions.image_ids
    inside = archive["image_id"].isin(ids)
    elsewhere = set(archive.loc[~inside, "lesion_id"])
    shares = np.isin(predictions.lesions, list(elsewhere))
    by_class = {
        dx: {"images": int((predictions.labels == place).sum()), "archive": int((archive["dx"] == dx).sum())}
        for place, dx in enumerate(CLASSES)
    }
    certificate: dict[str, Any] = {
        "images": len(ids),
        "lesions": len(np.unique(predictions.lesions)),
        "archive_images": len(archive),
        "archive_lesions": int(archive["lesion_id"].nunique()),
        "images_of_lesions_with_others_outside": int(shares.sum()),
        "by_class": by_class,
        "training_images": None,
        "images_of_trained_lesions": None,
    }
    duplicates = {"known_pairs": known_pairs} | _duplicates(audited_pairs)
    for kind, pairs in duplicates.items():
        first, second = (pairs[side].isin(ids) for side in ("first", "second"))
        certificate |= {f"{kind}_inside": int((first & second).sum()), f"{kind}_across": int((first ^ second).sum())}
    if training_ids is not None:
        unknown = training_ids[~np.isin(training_ids, archive["image_id"].to_numpy(dtype=str))]
        if len(unknown):
            raise UserError(f"--train-ids: not in the archive ({len(unknown):,}): {name_some(unknown, 5)}; correct it")
        both = ids[np.isin(ids, training_ids)]
        if len(both):
            raise UserError(
                f"--train-ids: {len(both):,} of the predicted images are among them: {name_some(both, 5)}; "
                "give the images that were trained on, and predictions of others"
            )
        trained = archive.loc[archive["image_id"].isin(training_ids), "lesion_id"]
        certificate["training_images"] = len(np.unique(training_ids))
        certificate["images_of_trained_lesions"] = int(np.isin(predictions.lesions, trained.to_numpy(dtype=str)).sum())
    return certificate


def _duplicates(pairs: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """Return the audit's exact and near-duplicates whose lesion ids differ; the known pairs are counted apart."""
    if pairs is None:
        return {}
    pairs = pairs[pairs["first_lesion"] != pairs["second_lesion"]]
    near, known = pairs["kind"] == "near", pairs["kind"].astype(str).str.startswith("known")
    return {"exact_duplicates": pairs[~near & ~known], "near_duplicates": pairs[near]}


def retest(
    models: Mapping[str, Predictions],
    archive: pd.DataFrame,
    certificate: dict[str, Any],
    published: Sequence[PublishedFigure],
    plan: Plan,
    evaluate: EvaluateParams,
) -> Retest:
    """Compare models again on the same images.

    Args:
        models: by name; the images of all are the same.
        archive: the archive's metadata, for groups.
        published: figures of some of the models.
        plan: metrics, margins and confidence of the comparisons.

    Raises:
        UserError: the models' images differ.
    """
    report = report_pairs(dict(models), "lesion_id", plan, []) if len(models) > 1 else None
    values = {name: summarise(predictions, evaluate)[0] for name, predictions in models.items()}
    figures = _recomputed(published, values, models)
    return Retest(
        certificate=certificate,
        models=pd.DataFrame([_model_row(name, metrics, plan.primary) for name, metrics in values.items()]),
        figures=figures,
        pairs=_pairs(report, published, plan) if report else pd.DataFrame(),
        groups=_group_table(models, archive, evaluate.confidence),
    )


def value_of(name: str, values: Mapping[str, float]) -> float:
    """Return a metric of metrics.json, or the mean over classes of one per class ("macro_specificity"); NaN without."""
    if name in values:
        return values[name]
    family = name.removeprefix(_MACRO)
    class_values = [values.get(f"{family}_{dx}", float("nan")) for dx in CLASSES]
    return float(np.mean(class_values))


def _recomputed(
    published: Sequence[PublishedFigure], values: Mapping[str, Mapping[str, float]], models: Mapping[str, Predictions]
) -> pd.DataFrame:
    rows = []
    for figure in published:
        name = matching_model(figure.model, list(values))
        if name is None:
            continue
        computed = value_of(figure.metric, values[name])
        equal = bool(abs(computed - figure.value) <= TOLERANCE)
        average, spread = (np.nan, np.nan) if equal else _image_bootstrap(models[name], figure.metric)
        within = _ERRORS * spread / np.sqrt(_REPLICATES) + TOLERANCE
        rows.append({
            "model": name, "column": figure.column, "metric": figure.metric, "published": figure.value,
            "published_low": figure.low, "published_high": figure.high, "published_p": figure.p, "recomputed": computed,
            "equal": equal, "bootstrap_mean": average,
            "is_bootstrap_mean": bool(abs(average - figure.value) <= within),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _image_bootstrap(predictions: Predictions, metric: str) -> tuple[float, float]:
    """Return mean and standard deviation of a metric over bootstrap replicates of single images; NaN of others."""
    family = metric.removeprefix(_MACRO)
    names = [metric] if metric in SCHEMA.metrics() else [f"{family}_{dx}" for dx in CLASSES]
    if names[0] not in SCHEMA.metrics():
        return np.nan, np.nan
    images = np.arange(len(predictions.labels))
    models = [predictions.probabilities]
    drawn = bootstrap(predictions.labels, models, images, names, SCHEMA, replicates=_REPLICATES, seed=0)
    draws = np.mean([drawn.draws(0, name) for name in names], axis=0)
    return float(np.nanmean(draws)), float(np.nanstd(draws))


def matching_model(published: str, models: Sequence[str]) -> str | None:
    """Return which model a published table means: that of the name, or the one whose name begins with it and `_`."""
    if published in models:
        return published
    return next((name for name in models if name.startswith(f"{published}_")), None)


def _model_row(name: str, values: Mapping[str, float], primary: str) -> dict[str, Any]:
    row: dict[str, Any] = {"model": name}
    for metric in dict.fromkeys([*METRICS, primary]):
        row |= {f"{metric}{part}": values.get(f"{metric}{part}", float("nan")) for part in ("", "_low", "_high")}
    return row | {metric: values.get(metric, float("nan")) for metric in _CALIBRATION}


def _pairs(report: ComparisonReport, published: Sequence[PublishedFigure], plan: Plan) -> pd.DataFrame:
    """Return one row for each pair and metric; Holm's adjustment is over the pairs of a metric."""
    rows = [row.model_dump() for row in report.comparisons if row.verdict or row.family]
    table = pd.DataFrame(rows)
    table = table[["a", "b", "metric", "a_value", "b_value", "difference", "low", "high", "p", "verdict", "caution"]]
    table["p_holm"] = table.groupby("metric")["p"].transform(lambda p: holm_of_defined(p.to_numpy(dtype=float)))
    # A published p-value is that of a model against the one model that has none.
    names = list(dict.fromkeys([*table["a"], *table["b"]]))
    pvalues = {
        (matching_model(figure.model, names), figure.metric): figure.p for figure in published if figure.p is not None
    }
    references = {
        metric: {matching_model(figure.model, names) for figure in published if figure.metric == metric}
        - {model for model, tested_metric in pvalues if tested_metric == metric}
        for metric in plan.metrics
    }
    table["published_p"] = [
        _published_p(row["a"], row["b"], row["metric"], pvalues, references[row["metric"]])
        for row in table.to_dict("records")
    ]
    return table.reset_index(drop=True)


def _published_p(a: str, b: str, metric: str, pvalues: Mapping[Any, float], references: set[Any]) -> float | None:
    if len(references) != 1:
        return None
    reference = next(iter(references))
    other = {a: b, b: a}.get(reference)
    return pvalues.get((other, metric))


def _group_table(models: Mapping[str, Predictions], archive: pd.DataFrame, confidence: float) -> pd.DataFrame:
    first = next(iter(models.values()))
    table = archive.set_index("image_id").loc[first.image_ids].reset_index()
    groups, _ = make_groups(table, _GROUPS)
    rows = []
    for group in groups:
        if group.rows.sum() < _FEWEST_IMAGES:
            continue
        ids = first.image_ids[group.rows]
        for name, predictions in models.items():
            inside = restrict_images(predictions, ids)
            row = {"model": name, "column": group.column, "group": group.name, "images": len(ids),
                   "lesions": len(np.unique(inside.lesions))}  # fmt: skip
            for metric, estimate in metric_intervals(inside, _GROUP_METRICS, SCHEMA, confidence).items():
                row |= {metric: estimate.value, f"{metric}_low": estimate.low, f"{metric}_high": estimate.high}
            rows.append(row)
    return pd.DataFrame(rows)
