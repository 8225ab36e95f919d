"""What every table of an assessment is made from: predictions, their calibrated form, metadata, and resamples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.recalibration import Calibrator, fit_calibrator
from skinlesion.evaluation.runs import Run, runs_of
from skinlesion.evaluation.sums import SumStatistic
from skinlesion.params import AssessParams, EvaluateParams
from skinlesion.stats.lesion_bootstrap import Estimate, LesionBootstrap, mean_estimate

_COLUMNS_AT_ONCE = 4096  # of sums; bounds the memory


@dataclass(frozen=True)
class Material:
    """Test and validation predictions of a system, as the model gave them and calibrated."""

    tested: Predictions
    validation: Predictions
    calibrated: np.ndarray  # (S, N, 7) of the tested images
    validation_calibrated: np.ndarray  # (S, V, 7)
    calibrators: dict[tuple[int, int], Calibrator]  # (seed, fold) → fitted on that run's validation part
    table: pd.DataFrame  # metadata of the tested images, in their order
    bootstrap: LesionBootstrap
    evaluate: EvaluateParams
    assess: AssessParams

    @classmethod
    def make(
        cls,
        tested: Predictions,
        validation: Predictions,
        metadata: pd.DataFrame,
        evaluate: EvaluateParams,
        assess: AssessParams,
    ) -> "Material":
        """Return the material of a system; calibrators are fitted run by run, on validation parts alone.

        Args:
            metadata: a table with `image_id` that holds every tested image.

        Raises:
            UserError: validation predictions lack a run that was tested, or metadata an image.
        """
        calibrated = np.empty_like(tested.probabilities)
        validated = np.empty_like(validation.probabilities)
        calibrators = {}
        for run in runs_of(tested, validation):
            fitted = fit_calibrator(
                assess.calibration,
                validation.labels[run.validation],
                validation.probabilities[run.layer, run.validation],
            )
            calibrators[run.seed, run.fold] = fitted
            calibrated[run.layer, run.tested] = fitted.apply(tested.probabilities[run.layer, run.tested])
            validated[run.layer, run.validation] = fitted.apply(validation.probabilities[run.layer, run.validation])
        known = metadata.set_index("image_id")
        missing = ~np.isin(tested.image_ids, known.index.to_numpy(dtype=str))
        if missing.any():
            raise UserError(f"metadata: no row for {tested.image_ids[missing][0]}; run `skinlesion prepare` again")
        table = known.loc[list(tested.image_ids)].reset_index()
        bootstrap = LesionBootstrap(tested.lesions, replicates=evaluate.replicates, seed=evaluate.seed)
        return cls(tested, validation, calibrated, validated, calibrators, table, bootstrap, evaluate, assess)

    @property
    def labels(self) -> np.ndarray:
        return self.tested.labels

    def runs(self) -> Iterator[Run]:
        return runs_of(self.tested, self.validation)

    def recalibrated(self, method: str) -> np.ndarray:
        """Return the tested probabilities (S, N, 7) calibrated run by run with a method, the chosen one or another."""
        if method == self.assess.calibration:
            return self.calibrated
        found = np.empty_like(self.calibrated)
        for run in self.runs():
            labels = self.validation.labels[run.validation]
            fitted = fit_calibrator(method, labels, self.validation.probabilities[run.layer, run.validation])
            found[run.layer, run.tested] = fitted.apply(self.tested.probabilities[run.layer, run.tested])
        return found

    def estimates(self, figures: Mapping[str, Sequence[SumStatistic]]) -> dict[str, Estimate]:
        """Return each figure as the mean over seeds of its statistic, all from the same resamples.

        Args:
            figures: name → one statistic a seed.
        """
        return estimate_sums(self.bootstrap, figures)

    def estimate_weighted(
        self, statistics: Sequence[Callable[[np.ndarray], np.ndarray]], names: Sequence[str]
    ) -> dict[str, Estimate]:
        """Return figures that need an order of images, as means over seeds.

        Args:
            statistics: one a seed: image weights (N, B) → (B, K), K the number of names.
        """
        ones = np.ones((len(self.labels), 1), np.float32)
        by_seed = []
        for statistic in statistics:
            point, draws = statistic(ones)[0], self.bootstrap.over_images(statistic)
            by_seed.append([Estimate(float(point[place]), draws[:, place]) for place in range(len(names))])
        return {name: mean_estimate([one[place] for one in by_seed]) for place, name in enumerate(names)}

    def row(self, estimate: Estimate, kind: str = "percentile") -> dict[str, float]:
        """Return `value, low, high` of an estimate."""
        low, high = estimate.interval(self.evaluate.confidence, kind)
        return {"value": estimate.value, "low": low, "high": high}


def estimate_sums(bootstrap: LesionBootstrap, figures: Mapping[str, Sequence[SumStatistic]]) -> dict[str, Estimate]:
    """Return each figure as the mean over its statistics (one a seed), resampled together."""
    found: dict[str, Estimate] = {}
    batch: list[tuple[str, Sequence[SumStatistic]]] = []
    width = 0
    for name, statistics in figures.items():
        batch.append((name, statistics))
        width += sum(one.columns.shape[1] for one in statistics)
        if width > _COLUMNS_AT_ONCE:
            found |= _resample(bootstrap, batch)
            batch, width = [], 0
    return found | (_resample(bootstrap, batch) if batch else {})


def _resample(bootstrap: LesionBootstrap, batch: Sequence[tuple[str, Sequence[SumStatistic]]]) -> dict[str, Estimate]:
    # Several statistics can read the same columns.
    columns = {id(one.columns): one.columns for _, statistics in batch for one in statistics}
    totals = bootstrap.totals(np.hstack(list(columns.values())))
    ends = np.cumsum([one.shape[1] for one in columns.values()])
    parts = {key: totals[:, end - one.shape[1] : end] for (key, one), end in zip(columns.items(), ends, strict=True)}
    return {
        name: mean_estimate([Estimate(one.value, one.function(parts[id(one.columns)])) for one in statistics])
        for name, statistics in batch
    }
