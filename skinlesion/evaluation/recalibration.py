"""Recalibration of probabilities: temperature, vector and isotonic scaling, fitted on validation predictions only.

References:
    [1] Guo C et al. On Calibration of Modern Neural Networks. ICML 2017 (temperature and vector scaling).
    [2] Zadrozny B, Elkan C. Transforming classifier scores into accurate multiclass probability estimates. KDD 2002
        (isotonic regression of each class against the rest, normalised to a sum of one).
"""

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
import pydantic
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from typing_extensions import TypedDict

from skinlesion.choices import Calibration, names
from skinlesion.errors import UserError, choices, shown
from skinlesion.reading import fitting
from skinlesion.vocabulary import CLASSES

METHODS = names(Calibration)

_CLASSES = len(CLASSES)
_SMALLEST = 1e-12
_TEMPERATURES = (np.log(0.05), np.log(20.0))  # bounds of ln T
_SCALE, _SHIFT = (0.05, 20.0), (-20.0, 20.0)  # bounds of vector scaling


class Calibrator(Protocol):
    """A fitted map of probabilities."""

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities (N, C), rows that sum to one."""

    def state(self) -> dict[str, Any]:
        """Return its parameters, JSON-able."""


@dataclass(frozen=True)
class TemperatureScaling:
    """softmax(log p / T): neither the predicted class nor the order of the classes changes [1]."""

    temperature: float

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = softmax(log_probabilities(probabilities) / self.temperature, axis=1)
        return scaled

    def state(self) -> dict[str, Any]:
        return {"method": "temperature", "temperature": self.temperature}


@dataclass(frozen=True)
class VectorScaling:
    """softmax(scale · log p + shift), a scale and a shift per class [1]; predicted classes may change."""

    scale: np.ndarray  # (C,)
    shift: np.ndarray  # (C,)

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = softmax(log_probabilities(probabilities) * self.scale + self.shift, axis=1)
        return scaled

    def state(self) -> dict[str, Any]:
        return {"method": "vector", "scale": self.scale.tolist(), "shift": self.shift.tolist()}


@dataclass(frozen=True)
class IsotonicScaling:
    """An increasing step function per class, then rows normalised to a sum of one [2]; predicted classes may change."""

    knots: tuple[tuple[np.ndarray, np.ndarray], ...]  # per class: probabilities and their calibrated values

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        mapped = np.stack(
            [np.interp(probabilities[:, place], *knots) for place, knots in enumerate(self.knots)], axis=1
        )
        total = mapped.sum(axis=1, keepdims=True)
        # A row mapped to 0 in every class holds no information: it stays as it was.
        scaled: np.ndarray = np.where(total > 0, mapped / np.where(total > 0, total, 1), probabilities)
        return scaled

    def state(self) -> dict[str, Any]:
        return {"method": "isotonic", "knots": [[x.tolist(), y.tolist()] for x, y in self.knots]}


def fit_calibrator(method: str, labels: np.ndarray, probabilities: np.ndarray) -> Calibrator:
    """Return the calibrator called `method`, fitted by least NLL (isotonic: least squares).

    Args:
        labels: (N,) positions of the true classes, of validation images.
        probabilities: (N, C).

    Raises:
        UserError: an unknown method.
    """
    if method == "temperature":
        return TemperatureScaling(fit_temperature(labels, probabilities))
    if method == "vector":
        return _fit_vector(labels, probabilities)
    if method == "isotonic":
        return _fit_isotonic(labels, probabilities)
    raise UserError(f"assess.calibration: {method!r} is not a method; {choices(METHODS, method)}")


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the temperature T in 0.05..20 that minimises the NLL of softmax(log p / T).

    Args:
        labels: (N,) positions of the true classes, of validation images.
        probabilities: (N, C); log p differs from the logits by a constant per row, which softmax ignores.
    """
    logits = np.ascontiguousarray(log_probabilities(probabilities).T)  # (C, N): faster to normalise
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=0)[labels, rows].mean())

    return float(np.exp(minimize_scalar(loss, bounds=_TEMPERATURES, method="bounded", options={"xatol": 1e-6}).x))


class _Temperature(TypedDict):
    method: str
    temperature: Annotated[float, pydantic.Field(gt=0)]


class _Vector(TypedDict):
    method: str
    scale: Annotated[list[float], pydantic.Field(min_length=_CLASSES, max_length=_CLASSES)]
    shift: Annotated[list[float], pydantic.Field(min_length=_CLASSES, max_length=_CLASSES)]


_Knots = Annotated[list[Annotated[float, pydantic.Field(ge=0, le=1)]], pydantic.Field(min_length=1)]


class _Isotonic(TypedDict):
    method: str
    knots: Annotated[
        list[Annotated[list[_Knots], pydantic.Field(min_length=2, max_length=2)]],
        pydantic.Field(min_length=_CLASSES, max_length=_CLASSES),
    ]


_STATES: dict[str, Any] = {"temperature": _Temperature, "vector": _Vector, "isotonic": _Isotonic}


def restore_calibrator(state: dict[str, Any]) -> Calibrator:
    """Return a calibrator as `state()` left it.

    Raises:
        UserError: it is none.
    """
    method = state.get("method")
    if not isinstance(method, str) or method not in _STATES:
        raise UserError(f"calibrator: {shown(method)} is not a method")
    fitting(state, _STATES[method], "calibrator", "not as `assess` writes it")
    if method == "temperature":
        return TemperatureScaling(state["temperature"])
    if method == "vector":
        return VectorScaling(np.array(state["scale"]), np.array(state["shift"]))
    knots = tuple((np.array(x), np.array(y)) for x, y in state["knots"])
    if any(len(x) != len(y) or (np.diff(x) < 0).any() or (np.diff(y) < 0).any() for x, y in knots):
        raise UserError("calibrator: knots that do not increase")
    return IsotonicScaling(knots)


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.log(np.clip(probabilities, _SMALLEST, 1))
    return logs


def _fit_vector(labels: np.ndarray, probabilities: np.ndarray) -> VectorScaling:
    logits = np.ascontiguousarray(log_probabilities(probabilities).T)  # (C, N): faster to normalise
    rows, classes = np.arange(len(labels)), probabilities.shape[1]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, shift = parameters[:classes, None], parameters[classes:, None]
        logs = log_softmax(logits * scale + shift, axis=0)
        slope = np.exp(logs)  # (C, N) of the shifted logits
        slope[labels, rows] -= 1
        gradient = np.concatenate([np.einsum("cn,cn->c", slope, logits), slope.sum(axis=1)]) / len(labels)
        return float(-logs[labels, rows].mean()), gradient

    start = np.concatenate([np.full(classes, 1 / fit_temperature(labels, probabilities)), np.zeros(classes)])
    bounds = [_SCALE] * classes + [_SHIFT] * classes
    best = minimize(loss, np.clip(start, *np.array(bounds).T), jac=True, bounds=bounds, method="L-BFGS-B").x
    return VectorScaling(best[:classes], best[classes:])


def _fit_isotonic(labels: np.ndarray, probabilities: np.ndarray) -> IsotonicScaling:
    from sklearn.isotonic import IsotonicRegression

    knots = []
    for place in range(probabilities.shape[1]):
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        fitted.fit(probabilities[:, place], labels == place)
        knots.append((fitted.X_thresholds_, fitted.y_thresholds_))
    return IsotonicScaling(tuple(knots))
