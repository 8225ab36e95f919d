"""Tables of calibration before and after recalibration: errors, parts of the Brier score, reliability by bin."""

from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.assessment.inputs import AssessmentInputs
from skinlesion.evaluation import reliability
from skinlesion.evaluation.decisions import TARGETS, cases_of, risk_of
from skinlesion.evaluation.logistic_calibration import calibration_intercept, calibration_slope
from skinlesion.evaluation.recalibration import METHODS
from skinlesion.evaluation.rms_calibration import rms_calibration_error
from skinlesion.evaluation.sums import SumStatistic, ratio

#: Plug-in figures that noise within bins biases upwards, in resamples more than on the data: no interval of them holds.
_PLUG_IN = ("ece", "ece_equal_mass", "ece_classwise", "brier_reliability")
_PLUG_IN_NOTE = "plug-in estimate: above 0 for a calibrated model too, so it has no interval; see rms_calibration_error"

_RISK_FIGURES = {
    "observed_to_expected": reliability.observed_to_expected,
    "calibration_intercept": calibration_intercept,
    "calibration_slope": calibration_slope,
}


def states(inputs: AssessmentInputs) -> dict[str, np.ndarray]:
    """Return the test probabilities (S, N, 7) of the model, uncalibrated and calibrated."""
    return {"uncalibrated": inputs.tested.probabilities, "calibrated": inputs.calibrated}


def calibration_table(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return `probabilities, metric, value, low, high, p, undefined, note`: every figure before and after each method.

    `p` is that of calibration, of the root mean squared calibration errors.
    """
    rows = []
    by_state = {"uncalibrated": inputs.tested.probabilities} | {name: inputs.recalibrated(name) for name in METHODS}
    for state, layers in by_state.items():
        by_seed = [_figures(inputs, layer) for layer in layers]
        estimates = inputs.estimates({name: [figures[name] for figures in by_seed] for name in by_seed[0]})
        for name, estimate in estimates.items():
            target = name.rpartition("_")[2]
            lacking = _PLUG_IN_NOTE if name in _PLUG_IN else inputs.lacking_for(target) if target in TARGETS else None
            rows.append({"probabilities": state, "metric": name, "p": np.nan} | inputs.row(estimate, lacking))
        rows += [{"probabilities": state} | row for row in _errors(inputs, layers)]
    columns = ["probabilities", "metric", "value", "low", "high", "p", "undefined", "note"]
    return pd.DataFrame(rows)[columns]


def _errors(inputs: AssessmentInputs, layers: np.ndarray) -> list[dict[str, Any]]:
    """Return rows of the root mean squared calibration errors of probabilities (S, N, 7): debiased, with a test."""
    rows = []
    for series in ("top", *TARGETS):
        events = [_event(inputs, layer, series) for layer in layers]
        confidence, hit = (np.array(parts) for parts in zip(*events, strict=True))
        error = rms_calibration_error(confidence, hit, inputs.bootstrap.lesion, inputs.evaluate.ece_bins)
        note = inputs.lacking() if series == "top" else inputs.lacking_for(series)
        if not note and not error.varies:
            note = "residuals do not differ between lesions"
        low, high = (np.nan, np.nan) if note else error.confidence_interval(inputs.evaluate.confidence)
        name = "rms_calibration_error" if series == "top" else f"rms_calibration_error_{series}"
        p = np.nan if note else error.pvalue
        rows.append(
            {"metric": name, "value": error.value, "low": low, "high": high, "p": p, "undefined": 0, "note": note}
        )
    return rows


def _figures(inputs: AssessmentInputs, layer: np.ndarray) -> dict[str, SumStatistic]:
    """Return the statistics of one layer of probabilities (N, 7)."""
    labels, bins = inputs.labels, inputs.evaluate.ece_bins
    confidence, hit = reliability.top_label(labels, layer)
    wide, even = reliability.equal_width(confidence, bins), reliability.equal_mass(confidence, bins)
    parts = reliability.brier_parts(labels, layer, bins)
    return {
        "ece": reliability.calibration_error(confidence, hit, wide, bins),
        "ece_equal_mass": reliability.calibration_error(confidence, hit, even, bins),
        "ece_classwise": reliability.classwise_error(labels, layer, bins),
        "brier": reliability.brier(labels, layer),
        **{f"brier_{name}": statistic for name, statistic in parts.items()},
        "nll": reliability.log_loss(labels, layer),
        **{
            f"{name}_{target}": figure(cases_of(target, labels), risk_of(target, layer))
            for target in TARGETS
            for name, figure in _RISK_FIGURES.items()
        },
    }


def reliability_table(inputs: AssessmentInputs) -> pd.DataFrame:
    """Return one row per equal-mass bin, and for each series its mean probability, observed share, and images.

    Series: `top_…` the highest probability and whether it is correct, `malignant_…` and `melanoma_…` those risks and
    cases; each `…_uncalibrated` and `…_calibrated`. Columns `confidence_`, `observed_` (with `_low`, `_high`) and
    `images_` of each; values are means over seeds, each with its own bins.
    """
    bins = inputs.evaluate.ece_bins
    columns: dict[str, list[float]] = {}
    for state, layers in states(inputs).items():
        for series in ("top", *TARGETS):
            events = [_event(inputs, layer, series) for layer in layers]
            places = [reliability.equal_mass(confidence, bins) for confidence, _ in events]
            name = f"{series}_{state}"
            predicted, observed, counts = {}, {}, []
            for number in range(bins):
                inside = [(place == number).astype(float) for place in places]
                predicted[number] = [
                    ratio(a * confidence, a) for a, (confidence, _) in zip(inside, events, strict=True)
                ]
                observed[number] = [ratio(a * hit, a) for a, (_, hit) in zip(inside, events, strict=True)]
                counts.append(float(np.mean([a.sum() for a in inside])))
            rows = [inputs.row(estimate) for estimate in inputs.estimates(observed).values()]
            columns[f"confidence_{name}"] = [
                float(np.mean([statistic.value for statistic in predicted[number]])) for number in range(bins)
            ]
            columns[f"observed_{name}"] = [row["value"] for row in rows]
            columns[f"observed_{name}_low"] = [row["low"] for row in rows]
            columns[f"observed_{name}_high"] = [row["high"] for row in rows]
            columns[f"images_{name}"] = counts
    return pd.DataFrame({"bin": range(1, bins + 1), **columns})


def _event(inputs: AssessmentInputs, layer: np.ndarray, series: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities (N,) of an event and whether it occurred."""
    if series == "top":
        return reliability.top_label(inputs.labels, layer)
    return risk_of(series, layer), cases_of(series, inputs.labels)
