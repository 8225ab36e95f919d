"""The inputs of an assessment: predictions, their calibrated form, metadata, and lesion resamples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.estimates import Figures, Key, estimate_sums, estimate_weighted, judged
from skinlesion.errors import UserError
from skinlesion.evaluation.decisions import TARGETS, cases_of
from skinlesion.evaluation.minimum_sizes import LesionNumbers, too_few_lesions, too_few_of
from skinlesion.evaluation.predictions import Predictions, Run, runs_of
from skinlesion.evaluation.recalibration import Calibrator, fit_calibrator
from skinlesion.params import AssessParams, EvaluateParams
from skinlesion.stats.lesion_bootstrap import Estimate, LesionBootstrap
from skinlesion.vocabulary import CLASSES


@dataclass(frozen=True)
class AssessmentInputs:
    """Test and validation predictions of a system, as the model gave them and calibrated."""

    tested: Predictions
    validation: Predictions
    calibrated: np.ndarray  # (L, N, 7) of the tested images
    validation_calibrated: np.ndarray  # (L, V, 7), of the images that a layer holds
    calibrators: dict[tuple[int, int, int], Calibrator]  # (repeat, seed, fold) → fitted on that run's validation part
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
    ) -> "AssessmentInputs":
        """Return the inputs of a system's assessment; calibrators are fitted run by run, on validation parts alone.

        Args:
            metadata: a table with `image_id` that holds every tested image.

        Raises:
            UserError: validation predictions lack a run that was tested, or metadata an image.
        """
        calibrated = np.empty_like(tested.probabilities)
        validation_calibrated = np.empty_like(validation.probabilities)
        calibrators = {}
        for run in runs_of(tested, validation):
            fitted = fit_calibrator(
                assess.calibration,
                validation.labels[run.validation],
                validation.probabilities[run.layer, run.validation],
            )
            calibrators[run.repeat, run.seed, run.fold] = fitted
            calibrated[run.layer, run.tested] = fitted.apply(tested.probabilities[run.layer, run.tested])
            validation_calibrated[run.layer, run.validation] = fitted.apply(
                validation.probabilities[run.layer, run.validation]
            )
        records = metadata.set_index("image_id")
        missing = ~np.isin(tested.image_ids, records.index.to_numpy(dtype=str))
        if missing.any():
            raise UserError(f"metadata: no row for {tested.image_ids[missing][0]}; run `skinlesion prepare` again")
        table = records.loc[list(tested.image_ids)].reset_index()
        bootstrap = LesionBootstrap(tested.lesion_numbers, replicates=evaluate.replicates, seed=evaluate.seed)
        return cls(
            tested, validation, calibrated, validation_calibrated, calibrators, table, bootstrap, evaluate, assess
        )

    @property
    def labels(self) -> np.ndarray:
        return self.tested.labels

    def runs(self) -> Iterator[Run]:
        return runs_of(self.tested, self.validation)

    def recalibrated(self, method: str) -> np.ndarray:
        """Return the tested probabilities (S, N, 7) calibrated run by run with a method, the chosen one or another."""
        if method == self.assess.calibration:
            return self.calibrated
        recalibrated = np.empty_like(self.calibrated)
        for run in self.runs():
            labels = self.validation.labels[run.validation]
            fitted = fit_calibrator(method, labels, self.validation.probabilities[run.layer, run.validation])
            recalibrated[run.layer, run.tested] = fitted.apply(self.tested.probabilities[run.layer, run.tested])
        return recalibrated

    def estimates(self, figures: Figures[Key]) -> dict[Key, Estimate]:
        """Return each figure as the mean over seeds of its statistic, all from the same resamples.

        Args:
            figures: key → one statistic per seed; pairs that are made one by one where all would fill the memory.
        """
        return estimate_sums(self.bootstrap, figures)

    def estimate_weighted(
        self, statistics: Sequence[Callable[[np.ndarray], np.ndarray]], names: Sequence[str]
    ) -> dict[str, Estimate]:
        """Return figures that need an order of the images, as means over seeds; see `estimates.estimate_weighted`."""
        return estimate_weighted(self.bootstrap, statistics, names)

    @cached_property
    def numbers(self) -> LesionNumbers:
        """Return how many lesions were tested, by class."""
        return LesionNumbers.of(self.labels, self.tested.lesion_numbers, CLASSES)

    def lacking(self, kinds: Mapping[str, np.ndarray] | None = None) -> str:
        """Return why lesions are too few for an interval, "" where they are enough.

        Args:
            kinds: name → the images (N,) bool that a figure is about.
        """
        lesion = self.bootstrap.lesion
        counts = {name: int(np.count_nonzero(np.bincount(lesion[rows]))) for name, rows in (kinds or {}).items()}
        return too_few_lesions(self.numbers) or too_few_of(counts)

    def lacking_for(self, target: str) -> str:
        """Return why lesions are too few for an interval of a decision's figures, "" where they are enough."""
        return self._lacking_by_target[target]

    @cached_property
    def _lacking_by_target(self) -> dict[str, str]:
        cases = {target: cases_of(target, self.labels) for target in TARGETS}
        return {target: self.lacking({target: of, f"non-{target}": ~of}) for target, of in cases.items()}

    def row(self, estimate: Estimate, lacking: str | None = None) -> dict[str, Any]:
        """Return `value, low, high, undefined, note` of an estimate; see `estimates.judged`.

        Args:
            lacking: why lesions are too few for an interval; None asks whether those of the file are.
        """
        return judged(estimate, self.evaluate.confidence, self.lacking() if lacking is None else lacking)


def with_note(about: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's row of two parts that both may have a `note`: joined by a semicolon."""
    notes = [part["note"] for part in (about, row) if part.get("note")]
    return {**about, **row, "note": "; ".join(notes)}
