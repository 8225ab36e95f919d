"""metadata: what age, sex and localization really add to each multimodal experiment."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import Predictions, read_predictions
from skinlesion.evaluation.shapley import shapley_values
from skinlesion.evaluation.subset import restrict
from skinlesion.evaluation.sums import SumStatistic, mean, ratio
from skinlesion.files import read_csv, write_csv, write_json
from skinlesion.params import EvaluateParams, Params
from skinlesion.stages.assessment.material import estimate_sums
from skinlesion.stages.contracts import MASKED_COLUMNS, MASKED_NAME, METADATA_VALUE_NAME, PREDICTIONS_NAME
from skinlesion.stages.missing import FIELDS, break_even, missing_rows, shapley_of_metric, shown_name
from skinlesion.stages.twins import twin_of
from skinlesion.stages.workspace import Workspace
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.lesion_bootstrap import Estimate, LesionBootstrap
from skinlesion.stats.resampling import Schema
from skinlesion.vocabulary import CLASSES, MALIGNANT, PROBABILITY_COLUMNS

METRICS = (
    "balanced_accuracy", "accuracy", "macro_auc", "malignant_auc", *(f"sensitivity_{name}" for name in CLASSES),
)  # fmt: skip

ALL, NONE, PERMUTED, TWIN = shown_name(FIELDS), shown_name(()), "permuted", "image-only twin"


def metadata(params: Params, workspace: Workspace) -> dict[str, dict[str, float]]:
    """Write reports/metadata/: masked.csv, missing.csv, shapley.csv, shapley_classes.csv, images/ and metadata.json.

    Every experiment that reads metadata is asked with each set of fields, with records exchanged between lesions, and
    with a growing share of fields missing, beside its image-only twin: the experiment that differs in nothing else.

    Returns:
        The content of metadata.json: headline figures by experiment.

    Raises:
        UserError: an experiment was not evaluated.
    """
    out = workspace.metadata_value
    shutil.rmtree(out / "images", ignore_errors=True)
    tables: dict[str, list[pd.DataFrame]] = {"masked": [], "missing": [], "shapley": [], "shapley_classes": []}
    headlines = {}
    for name in params.experiments:
        if params.experiment(name).fusion == "none":
            continue
        value = _Value.read(params, workspace, name)
        tables["masked"].append(value.masked())
        tables["missing"].append(value.missing())
        tables["shapley"].append(value.shapley())
        classes, images = value.shapley_of_probabilities()
        tables["shapley_classes"].append(classes)
        write_csv(out / "images" / f"{name}.csv", images, float_format="%.5g")
        headlines[name] = value.headline()
    for table, parts in tables.items():
        made = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["experiment"])
        write_csv(out / f"{table}.csv", made, float_format="%.9g")
    (out / "images").mkdir(parents=True, exist_ok=True)
    write_json(out / METADATA_VALUE_NAME, headlines)
    return headlines


class _Value:
    """One multimodal experiment under every version of the metadata, and its twin, on the same resamples."""

    def __init__(self, name: str, twin: str | None, tested: dict[str, Predictions], settings: EvaluateParams) -> None:
        """Take predictions of the same images, by version."""
        self.name, self.twin, self.tested, self.settings = name, twin, tested, settings
        first = tested[ALL]
        found = bootstrap(
            first.labels,
            [one.probabilities for one in tested.values()],
            first.lesions,
            METRICS,
            Schema(CLASSES, MALIGNANT),
            replicates=settings.replicates,
            seed=settings.seed,
        )
        self.estimates: dict[str, dict[str, Estimate]] = {
            version: {metric: Estimate(found.estimate(place, metric), found.draws(place, metric)) for metric in METRICS}
            for place, version in enumerate(tested)
        }

    @classmethod
    def read(cls, params: Params, workspace: Workspace, name: str) -> "_Value":
        folder = workspace.results(name)
        tested = {ALL: read_predictions(folder / PREDICTIONS_NAME)[0]} | _read_masked(folder, name)
        twin = twin_of(params, name)
        if twin is not None:
            other, _ = read_predictions(workspace.results(twin) / PREDICTIONS_NAME)
            common = np.intersect1d(tested[ALL].image_ids, other.image_ids)
            if len(common):
                tested = {version: restrict(one, common) for version, one in (tested | {TWIN: other}).items()}
            else:
                twin = None
        return cls(name, twin, tested, params.evaluate)

    def masked(self) -> pd.DataFrame:
        """Return `experiment, shown, metric, value, low, high, gap, gap_low, gap_high`, gaps to all fields shown."""
        rows = []
        for version, figures in self.estimates.items():
            for metric, one in figures.items():
                low, high = one.interval(self.settings.confidence)
                gap = one - self.estimates[ALL][metric]
                gap_low, gap_high = gap.interval(self.settings.confidence)
                rows.append({
                    "experiment": self.name, "shown": version, "metric": metric, "value": one.value, "low": low,
                    "high": high, "gap": gap.value, "gap_low": gap_low, "gap_high": gap_high,
                })  # fmt: skip
        return pd.DataFrame(rows)

    def missing(self) -> pd.DataFrame:
        """Return the curves of `missing_rows`, with the gap to the twin where there is one."""
        rows = missing_rows(self.estimates, self.estimates.get(TWIN), self.settings.confidence)
        return pd.DataFrame([{"experiment": self.name, "twin": self.twin or ""} | row for row in rows])

    def shapley(self) -> pd.DataFrame:
        """Return `experiment, field, metric, value, low, high`: each field's share of what metadata add to a metric."""
        rows = []
        for metric in METRICS:
            for field, one in shapley_of_metric(self.estimates, metric).items():
                low, high = one.interval(self.settings.confidence)
                row = {"experiment": self.name, "field": field, "metric": metric}
                rows.append(row | {"value": one.value, "low": low, "high": high})
        return pd.DataFrame(rows)

    def shapley_of_probabilities(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return Shapley values of the seven probabilities, pooled by class, and by image (mean over seeds).

        Pooled: `mean_absolute` over all images, and `own` the mean over the images of that class: how far the field
        moves the probability of the truth.
        """
        first = self.tested[ALL]
        values = {
            frozenset(shown): self.tested[shown_name(shown)].probabilities
            for shown in (tuple(version.split("+")) if version != NONE else () for version in self.tested)
            if set(shown) <= set(FIELDS)
        }
        found = shapley_values(values, FIELDS)  # each (S, N, 7)
        figures: dict[str, list[SumStatistic]] = {}
        for field, layers in found.items():
            for place, dx in enumerate(CLASSES):
                own = first.labels == place
                figures[f"{field}\n{dx}\nmean_absolute"] = [mean(np.abs(layer[:, place])) for layer in layers]
                if own.any():
                    figures[f"{field}\n{dx}\nown"] = [ratio(layer[:, place] * own, own) for layer in layers]
        resamples = LesionBootstrap(first.lesions, replicates=self.settings.replicates, seed=self.settings.seed)
        rows = []
        for key, one in estimate_sums(resamples, figures).items():
            field, dx, figure = key.split("\n")
            low, high = one.interval(self.settings.confidence)
            row = {"experiment": self.name, "field": field, "dx": dx, "figure": figure}
            rows.append(row | {"value": one.value, "low": low, "high": high})
        images = pd.DataFrame({"image_id": first.image_ids})
        for field, layers in found.items():
            columns = [f"{field}_{column}" for column in PROBABILITY_COLUMNS]
            images[columns] = layers.mean(axis=0)
        return pd.DataFrame(rows), images

    def headline(self) -> dict[str, float]:
        figures = {
            "balanced_accuracy": self.estimates[ALL]["balanced_accuracy"],
            "balanced_accuracy_all_missing": self.estimates[NONE]["balanced_accuracy"],
            "balanced_accuracy_records_exchanged": self.estimates[PERMUTED]["balanced_accuracy"],
        }
        for field, one in shapley_of_metric(self.estimates, "balanced_accuracy").items():
            figures[f"balanced_accuracy_from_{field}"] = one
        if self.twin is not None:
            twin = self.estimates[TWIN]["balanced_accuracy"]
            figures["gain_over_image_only"] = figures["balanced_accuracy"] - twin
            figures["gain_over_image_only_all_missing"] = figures["balanced_accuracy_all_missing"] - twin
            figures["break_even_share_missing"] = break_even(
                figures["balanced_accuracy"], figures["balanced_accuracy_all_missing"], twin
            )
        found: dict[str, float] = {}
        for name, one in figures.items():
            low, high = one.interval(self.settings.confidence)
            values = {name: one.value, f"{name}_low": low, f"{name}_high": high}
            found |= {key: value for key, value in values.items() if not np.isnan(value)}
        return found


def _read_masked(folder: Path, name: str) -> dict[str, Predictions]:
    """Return the predictions of masked.csv by version, the images in the order of predictions.csv.

    Raises:
        UserError: the file is missing or a version of it is.
    """
    remedy = f"run `skinlesion evaluate --experiment {name}`"
    about, _ = read_predictions(folder / PREDICTIONS_NAME)
    table = read_csv(
        folder / MASKED_NAME, MASKED_COLUMNS, remedy, dtype={"image_id": str, "shown": str}, keep_default_na=False
    )
    found: dict[str, Predictions] = {}
    for version, rows in table.groupby("shown"):
        ordered = rows.sort_values(["seed", "image_id"])
        if len(ordered) != len(about.seeds) * len(about.labels):
            raise UserError(f"{folder / MASKED_NAME}: {version}: other images than predictions.csv; {remedy}")
        layers = (
            ordered[list(PROBABILITY_COLUMNS)]
            .to_numpy(dtype=float)
            .reshape(len(about.seeds), len(about.labels), len(CLASSES))
        )
        found[str(version)] = Predictions(
            about.image_ids, about.lesions, about.labels, about.folds, about.seeds,
            layers / layers.sum(axis=2, keepdims=True),
        )  # fmt: skip
    if NONE not in found:
        raise UserError(f"{folder / MASKED_NAME}: no predictions without metadata; {remedy}")
    return found
