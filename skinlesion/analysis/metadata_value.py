"""The value of metadata: a multimodal model with fields hidden, exchanged or missing, beside its image-only twin."""

import numpy as np
import pandas as pd

from skinlesion.analysis.estimates import described, estimate_sums
from skinlesion.analysis.missing_metadata import break_even, missing_rows, shapley_of_metric
from skinlesion.evaluation.masked_metadata import ALL_SHOWN, FIELDS, NONE_SHOWN, PERMUTED, SHOWN
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.evaluation.shapley import shapley_values
from skinlesion.evaluation.sums import SumStatistic, mean, ratio
from skinlesion.params import EvaluateParams
from skinlesion.stats.bootstrap import bootstrap
from skinlesion.stats.lesion_bootstrap import Estimate, LesionBootstrap
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

METRICS = (
    "balanced_accuracy", "accuracy", "macro_auc", "malignant_auc", *(f"sensitivity_{name}" for name in CLASSES),
)  # fmt: skip

#: The version of the predictions that are the twin's, beside those of `masked_metadata`.
TWIN = "image-only twin"


class MetadataValue:
    """One multimodal experiment under every version of the metadata, and its twin, on the same resamples."""

    def __init__(self, name: str, twin: str | None, tested: dict[str, Predictions], settings: EvaluateParams) -> None:
        """Estimate every metric of every version on the same resamples.

        Args:
            name: the experiment.
            twin: its image-only twin, if there is one.
            tested: version → predictions of the same images. Versions: those of
                `masked_metadata`, and TWIN where there is a twin.
        """
        self.name, self.twin, self.tested, self.settings = name, twin, tested, settings
        first = tested[ALL_SHOWN]
        resampled = bootstrap(
            first.labels,
            [predictions.probabilities for predictions in tested.values()],
            first.lesions,
            METRICS,
            SCHEMA,
            replicates=settings.replicates,
            seed=settings.seed,
        )
        self.estimates: dict[str, dict[str, Estimate]] = {
            version: {
                metric: Estimate(resampled.estimate(place, metric), resampled.draws(place, metric))
                for metric in METRICS
            }
            for place, version in enumerate(tested)
        }

    def masked(self) -> pd.DataFrame:
        """Return `experiment, shown, metric, value, low, high, gap, gap_low, gap_high`, gaps to all fields shown."""
        rows = []
        for version, figures in self.estimates.items():
            for metric, estimate in figures.items():
                gap = estimate - self.estimates[ALL_SHOWN][metric]
                gap_low, gap_high = gap.interval(self.settings.confidence)
                rows.append(
                    {"experiment": self.name, "shown": version, "metric": metric}
                    | self._described(estimate)
                    | {"gap": gap.value, "gap_low": gap_low, "gap_high": gap_high}
                )
        return pd.DataFrame(rows)

    def missing(self) -> pd.DataFrame:
        """Return the curves of `missing_rows`, with the gap to the twin where there is one."""
        rows = missing_rows(self.estimates, self.estimates.get(TWIN), self.settings.confidence)
        return pd.DataFrame([{"experiment": self.name, "twin": self.twin or ""} | row for row in rows])

    def shapley(self) -> pd.DataFrame:
        """Return `experiment, field, metric, value, low, high`: each field's Shapley value of a metric."""
        rows = []
        for metric in METRICS:
            for field, estimate in shapley_of_metric(self.estimates, metric).items():
                row = {"experiment": self.name, "field": field, "metric": metric}
                rows.append(row | self._described(estimate))
        return pd.DataFrame(rows)

    def shapley_of_probabilities(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return Shapley values of the seven probabilities, pooled per class, and per image (mean over seeds).

        Pooled: `mean_absolute` over all images, and `own` the mean over the images of that class: by how much the
        field changes the probability of the true class.
        """
        first = self.tested[ALL_SHOWN]
        values = {frozenset(shown): self.tested[name].probabilities for name, shown in SHOWN.items()}
        shares = shapley_values(values, FIELDS)  # each (S, N, 7)
        figures: dict[tuple[str, str, str], list[SumStatistic]] = {}
        for field, layers in shares.items():
            for place, dx in enumerate(CLASSES):
                mask = first.labels == place
                figures[field, dx, "mean_absolute"] = [mean(np.abs(layer[:, place])) for layer in layers]
                if mask.any():
                    figures[field, dx, "own"] = [ratio(layer[:, place] * mask, mask) for layer in layers]
        resamples = LesionBootstrap(first.lesions, replicates=self.settings.replicates, seed=self.settings.seed)
        rows = [
            {"experiment": self.name, "field": field, "dx": dx, "figure": figure} | self._described(estimate)
            for (field, dx, figure), estimate in estimate_sums(resamples, figures).items()
        ]
        images = pd.DataFrame({"image_id": first.image_ids})
        for field, layers in shares.items():
            columns = [f"{field}_{column}" for column in PROBABILITY_COLUMNS]
            images[columns] = layers.mean(axis=0)
        return pd.DataFrame(rows), images

    def headline(self) -> dict[str, float]:
        """Return the figures of metadata.json, with `_low` and `_high`; undefined values are left out."""
        figures = {
            "balanced_accuracy": self.estimates[ALL_SHOWN]["balanced_accuracy"],
            "balanced_accuracy_all_missing": self.estimates[NONE_SHOWN]["balanced_accuracy"],
            "balanced_accuracy_records_exchanged": self.estimates[PERMUTED]["balanced_accuracy"],
        }
        for field, estimate in shapley_of_metric(self.estimates, "balanced_accuracy").items():
            figures[f"balanced_accuracy_from_{field}"] = estimate
        if self.twin is not None:
            twin = self.estimates[TWIN]["balanced_accuracy"]
            figures["gain_over_image_only"] = figures["balanced_accuracy"] - twin
            figures["gain_over_image_only_all_missing"] = figures["balanced_accuracy_all_missing"] - twin
            figures["break_even_share_missing"] = break_even(
                figures["balanced_accuracy"], figures["balanced_accuracy_all_missing"], twin
            )
        flat: dict[str, float] = {}
        for name, estimate in figures.items():
            low, high = estimate.interval(self.settings.confidence)
            values = {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
            flat |= {key: value for key, value in values.items() if not np.isnan(value)}
        return flat

    def _described(self, estimate: Estimate) -> dict[str, float]:
        return described(estimate, self.settings.confidence)
