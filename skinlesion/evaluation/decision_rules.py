"""Decision rules: which class to answer, given a model's probabilities, so that one metric comes out best.

The class with the highest probability is the best answer for the accuracy alone, and only of calibrated probabilities.
Balanced accuracy wants rare classes answered sooner, macro F1 neither that soon nor that late; a model trained with
class weights is near the first, one without near the last. Compared by their highest probabilities, two such models are
compared at different operating points. So each model gets a rule per metric, fitted on its validation part, and is
compared at its own best.

Probabilities are calibrated first, by a temperature and a bias per class of least log loss [1]. The answer is then the
class c with the largest gain a_c · (p_c − o_c), which is the best answer at expected gains that are linear in the
probabilities. For balanced accuracy a_c = 1 / π_c, the inverse share of the class, and o_c = 0: logit adjustment with
τ = 1 [2]. For macro F1 a_c = 2 / (predicted_c + true_c) and o_c = F1_c / 2, the solution of a fixed point [3], whose
counts are those that the calibrated probabilities expect, which vary less than counts of labels.

References:
    [1] Alexandari A, Kundaje A, Shrikumar A. Maximum likelihood with bias-corrected calibration is hard-to-beat at
        label shift adaptation. ICML 2020.
    [2] Menon AK et al. Long-tail learning via logit adjustment. ICLR 2021.
    [3] Narasimhan H et al. Consistent multiclass algorithms for complex performance measures. ICML 2015.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from skinlesion.evaluation.recalibration import fit_temperature, log_probabilities

#: The metrics that a rule can be fitted for.
OBJECTIVES = ("balanced_accuracy", "macro_f1")

_ROUNDS = 100  # of the fixed point; a dozen is usual
_LARGEST_BIAS = 10.0


@dataclass(frozen=True)
class DecisionRule:
    """A fitted rule: the answer is the class with the largest scale · (calibrated probability − offset)."""

    temperature: float
    bias: np.ndarray  # (C,), added to log p / T
    scale: np.ndarray  # (C,) a, above 0
    offset: np.ndarray  # (C,) o

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the calibrated probabilities (N, C)."""
        calibrated: np.ndarray = softmax(log_probabilities(probabilities) / self.temperature + self.bias, axis=1)
        return calibrated

    def answers(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the answers (N,), positions of classes, to probabilities (N, C)."""
        return _best(self.calibrated(probabilities), self.scale, self.offset)

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return scores (N, C) above 0, rows that sum to one, whose largest entry is the answer.

        They are for whatever takes the class with the highest probability as the answer; they are no probabilities.
        """
        gains = self.scale * (self.calibrated(probabilities) - self.offset)
        scores: np.ndarray = softmax(gains / self.scale.max(), axis=1)
        return scores

    def state(self) -> dict[str, Any]:
        """Return its parameters, JSON-able."""
        return {
            "temperature": self.temperature,
            "bias": self.bias.tolist(),
            "scale": self.scale.tolist(),
            "offset": self.offset.tolist(),
        }


def fit_decision_rule(objective: str, labels: np.ndarray, probabilities: np.ndarray) -> DecisionRule:
    """Return the rule for one of OBJECTIVES, fitted on a validation part.

    Args:
        labels: (V,) positions of the true classes.
        probabilities: (V, C). A class that is not among the labels has a bias of 0, the smallest scale and the
            largest offset.

    Raises:
        ValueError: an unknown objective.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"{objective} is not one of {', '.join(OBJECTIVES)}")
    temperature, bias = _fit_calibration(labels, probabilities)
    calibrated = softmax(log_probabilities(probabilities) / temperature + bias, axis=1)
    true = calibrated.sum(axis=0)  # (C,) images expected of each class
    if objective == "balanced_accuracy":
        scale, offset = len(labels) / np.maximum(true, 1), np.zeros(len(true))
    else:
        scale, offset = _fit_f1(calibrated, true)
    present = np.isin(np.arange(len(true)), labels)
    scale = np.where(present, scale, scale[present].min())
    offset = np.where(present, offset, offset[present].max())
    return DecisionRule(temperature, bias, scale, offset)


def _fit_calibration(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the temperature and the biases (C,) of least log loss [1]."""
    logits = np.ascontiguousarray(log_probabilities(probabilities).T)  # (C, V): faster to normalise
    rows, classes = np.arange(len(labels)), probabilities.shape[1]
    present = np.isin(np.arange(classes), labels)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, bias = np.exp(parameters[0]), parameters[1:, None]
        logs = log_softmax(logits * slope + bias, axis=0)
        residual = np.exp(logs)
        residual[labels, rows] -= 1
        gradient = np.append(np.vdot(residual, logits) * slope, residual.sum(axis=1) * present) / len(labels)
        return float(-logs[labels, rows].mean()), gradient

    start = np.concatenate([[-np.log(fit_temperature(labels, probabilities))], np.zeros(classes)])
    bounds = [(-3.0, 3.0)] + [(-_LARGEST_BIAS, _LARGEST_BIAS)] * classes
    best = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    bias = best[1:] - best[1:][present].mean() * present  # softmax ignores a constant
    return float(np.exp(-best[0])), bias


def _fit_f1(probabilities: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset (C,) of the largest macro F1 that calibrated probabilities (V, C) expect [3]."""
    scale, offset = np.ones(len(true)), np.zeros(len(true))
    best, best_value = (scale, offset), -1.0
    for _ in range(_ROUNDS):
        answers = np.eye(len(true))[_best(probabilities, scale, offset)]  # (V, C)
        sizes = np.maximum(answers.sum(axis=0) + true, 1e-9)
        f1 = 2 * (answers * probabilities).sum(axis=0) / sizes
        if f1.mean() <= best_value + 1e-12:
            break
        best, best_value = (scale, offset), float(f1.mean())
        scale, offset = 2 * len(probabilities) / sizes, f1 / 2
    return best


def _best(calibrated: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    best: np.ndarray = (scale * (calibrated - offset)).argmax(axis=1)
    return best
