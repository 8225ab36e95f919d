"""Calibration before and after recalibration: errors, parts of the Brier score, reliability by bin."""

import numpy as np
import pandas as pd

from skinlesion.evaluation import reliability
from skinlesion.evaluation.decisions import TARGETS, cases_of, risk_of
from skinlesion.evaluation.logistic_calibration import calibration_intercept, calibration_slope
from skinlesion.evaluation.recalibration import METHODS
from skinlesion.evaluation.sums import SumStatistic, ratio
from skinlesion.stages.assessment.material import Material

#: Errors of binned figures: their interval is the basic one, for the bins' noise only ever adds.
_BASIC = ("ece", "ece_equal_mass", "ece_debiased", "ece_classwise", "brier_reliability")

_RISK_FIGURES = {
    "observed_to_expected": reliability.observed_to_expected,
    "calibration_intercept": calibration_intercept,
    "calibration_slope": calibration_slope,
}


def states(material: Material) -> dict[str, np.ndarray]:
    """Return probabilities (S, N, 7) as the model gave them and calibrated."""
    return {"uncalibrated": material.tested.probabilities, "calibrated": material.calibrated}


def calibration_table(material: Material) -> pd.DataFrame:
    """Return `probabilities, metric, value, low, high`: every figure before calibration and after each method's."""
    rows = []
    every = {"uncalibrated": material.tested.probabilities} | {name: material.recalibrated(name) for name in METHODS}
    for state, layers in every.items():
        by_seed = [_figures(material, layer) for layer in layers]
        found = material.estimates({name: [one[name] for one in by_seed] for name in by_seed[0]})
        for name, estimate in found.items():
            row = material.row(estimate, "basic" if name in _BASIC else "percentile")
            if name in _BASIC:
                row["low"], row["high"] = max(0.0, row["low"]), max(0.0, row["high"])
            rows.append({"probabilities": state, "metric": name} | row)
    return pd.DataFrame(rows)


def _figures(material: Material, layer: np.ndarray) -> dict[str, SumStatistic]:
    """Return the statistics of one layer of probabilities (N, 7)."""
    labels, bins = material.labels, material.evaluate.ece_bins
    confidence, hit = reliability.top_label(labels, layer)
    wide, even = reliability.equal_width(confidence, bins), reliability.equal_mass(confidence, bins)
    parts = reliability.brier_parts(labels, layer, bins)
    return {
        "ece": reliability.calibration_error(confidence, hit, wide, bins),
        "ece_equal_mass": reliability.calibration_error(confidence, hit, even, bins),
        "ece_debiased": reliability.debiased_error(confidence, hit, even, bins),
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


def reliability_table(material: Material) -> pd.DataFrame:
    """Return one row an equal-mass bin, and for each series its mean probability, what came true, and images.

    Series: `top_…` the highest probability and whether it is right, `malignant_…` and `melanoma_…` those risks and
    cases; each `…_uncalibrated` and `…_calibrated`. Columns `confidence_`, `observed_` (with `_low`, `_high`) and
    `images_` of each; values are means over seeds, of which every one has its own bins.
    """
    bins = material.evaluate.ece_bins
    columns: dict[str, list[float]] = {}
    for state, layers in states(material).items():
        for series in ("top", *TARGETS):
            events = [_event(material, layer, series) for layer in layers]
            places = [reliability.equal_mass(confidence, bins) for confidence, _ in events]
            name = f"{series}_{state}"
            promised, observed, counts = {}, {}, []
            for one in range(bins):
                inside = [(place == one).astype(float) for place in places]
                promised[str(one)] = [ratio(a * c, a) for a, (c, _) in zip(inside, events, strict=True)]
                observed[str(one)] = [ratio(a * hit, a) for a, (_, hit) in zip(inside, events, strict=True)]
                counts.append(float(np.mean([a.sum() for a in inside])))
            seen = [material.row(one) for one in material.estimates(observed).values()]
            columns[f"confidence_{name}"] = [
                float(np.mean([statistic.value for statistic in promised[str(one)]])) for one in range(bins)
            ]
            columns[f"observed_{name}"] = [row["value"] for row in seen]
            columns[f"observed_{name}_low"] = [row["low"] for row in seen]
            columns[f"observed_{name}_high"] = [row["high"] for row in seen]
            columns[f"images_{name}"] = counts
    return pd.DataFrame({"bin": range(1, bins + 1), **columns})


def _event(material: Material, layer: np.ndarray, series: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities (N,) of an event and whether it came true."""
    if series == "top":
        return reliability.top_label(material.labels, layer)
    return risk_of(series, layer), cases_of(series, material.labels)
