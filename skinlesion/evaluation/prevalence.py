"""Probabilities at the prevalence of the data, from models that were trained as if classes were equally common.

Training with balanced class weights (or with any other weights, losses or samplers that favour rare classes) makes a
model overstate them, and one temperature cannot take that back: it treats all classes alike. Vector scaling can: its
shifts change the odds of the classes [1], as a change of the prior does [2], and at its optimum each class is predicted
as often as it is observed.

References:
    [1] Guo C et al. On Calibration of Modern Neural Networks. ICML 2017 (vector scaling).
    [2] Saerens M, Latinne P, Decaestecker C. Adjusting the outputs of a classifier to new a priori probabilities.
        Neural Computation 14, 21–41 (2002).
"""

from dataclasses import dataclass

import numpy as np

from skinlesion.evaluation.decisions import cases_of
from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.recalibration import Calibrator, fit_calibrator

_SMALLEST = 1e-12


@dataclass(frozen=True)
class PrevalenceCalibration:
    """What makes probabilities those of images among which classes are as common as in the validation images."""

    calibrator: Calibrator
    malignant: float  # share of the validation images

    def apply(self, layers: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities (R, N, 7) of R runs."""
        return np.stack([self.calibrator.apply(layer) for layer in layers])


def calibrate_to_prevalence(validation: Predictions) -> PrevalenceCalibration:
    """Return vector scaling fitted on the validation images of all runs of an experiment together.

    Together, because one run's validation part holds a handful of images of a rare class, and the runs of an experiment
    err alike. To each seed one image of every class is added, with the geometric mean of all probabilities: a class
    that validation happens to lack stays possible, for it would otherwise be ruled out for ever.
    """
    classes = validation.probabilities.shape[2]
    typical = np.exp(np.log(np.clip(validation.probabilities, _SMALLEST, 1)).mean(axis=1))  # (S, 7)
    typical /= typical.sum(axis=1, keepdims=True)
    labels = np.concatenate([validation.labels, np.arange(classes)])  # (N + 7,)
    layers = [
        np.concatenate([layer, np.tile(row, (classes, 1))])  # (N + 7, 7)
        for layer, row in zip(validation.probabilities, typical, strict=True)
    ]
    calibrator = fit_calibrator("vector", np.tile(labels, len(layers)), np.concatenate(layers))
    return PrevalenceCalibration(calibrator, float(cases_of("malignant", validation.labels).mean()))
