"""Performance of a multimodal model when metadata is missing, and the Shapley value of each field.

With a share r of metadata missing, an image's answer is drawn from the answers with and without them. Counts are
linear in such draws, so the expected sensitivity, balanced accuracy and accuracy are mixtures of the estimates with
each set of fields shown: exact, nothing is simulated.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from skinlesion.analysis.estimates import described
from skinlesion.evaluation.masked_metadata import ALL_SHOWN, FIELDS, NONE_SHOWN, SHOWN, shown_name
from skinlesion.evaluation.shapley import set_weights
from skinlesion.stats.lesion_bootstrap import Estimate, mixture
from skinlesion.vocabulary import CLASSES

RATES = tuple(share / 10 for share in range(11))

#: Metrics that are linear in the images' answers.
LINEAR = ("balanced_accuracy", "accuracy", *(f"sensitivity_{name}" for name in CLASSES))

Figures = Mapping[str, Mapping[str, Estimate]]  # version → metric → estimate


def missing_weights(what: str, rate: float) -> dict[str, float]:
    """Return the share of images with each set of fields shown, when `what` is missing at a rate in 0..1.

    `what`: "record" (all fields together), "each field" (independently), or one field.
    """
    if what == "record":
        return {ALL_SHOWN: 1 - rate, NONE_SHOWN: rate}
    if what == "each field":
        return {name: (1 - rate) ** len(shown) * rate ** (len(FIELDS) - len(shown)) for name, shown in SHOWN.items()}
    return {ALL_SHOWN: 1 - rate, shown_name([field for field in FIELDS if field != what]): rate}


def missing_rows(figures: Figures, twin: Mapping[str, Estimate] | None, confidence: float) -> Iterator[dict[str, Any]]:
    """Yield `missing, missing_in, rate, metric, value, low, high, twin_value, gap, gap_low, gap_high`.

    `missing_in` is "all", or the one class whose records are missing ("record" only). Gaps are to the twin.
    """
    for what in ("record", "each field", *FIELDS):
        for rate in RATES:
            weights = missing_weights(what, rate)
            for metric in LINEAR:
                mixed = mixture(list(weights.values()), [figures[name][metric] for name in weights])
                about = {"missing": what, "missing_in": "all", "rate": rate, "metric": metric}
                yield about | _described(mixed, None if twin is None else twin[metric], confidence)
    for name in CLASSES:
        for rate in RATES:
            for metric, mixed in _missing_in_class(figures, name, rate).items():
                about = {"missing": "record", "missing_in": name, "rate": rate, "metric": metric}
                yield about | _described(mixed, None if twin is None else twin[metric], confidence)


def _missing_in_class(figures: Figures, name: str, rate: float) -> dict[str, Estimate]:
    """Return a class's sensitivity and the balanced accuracy when records of that class alone are missing."""
    full, none = figures[ALL_SHOWN], figures[NONE_SHOWN]
    metric = f"sensitivity_{name}"
    sensitivity = mixture([1 - rate, rate], [full[metric], none[metric]])
    if np.isnan(sensitivity.value):
        return {}
    present = sum(not np.isnan(full[f"sensitivity_{dx}"].value) for dx in CLASSES)
    # The other classes keep their sensitivity, so the mean changes by the share of this class.
    balanced = mixture([1, 1 / present, -1 / present], [full["balanced_accuracy"], sensitivity, full[metric]])
    return {metric: sensitivity, "balanced_accuracy": balanced}


def _described(estimate: Estimate, twin: Estimate | None, confidence: float) -> dict[str, float]:
    row = described(estimate, confidence)
    if twin is None:
        return row | dict.fromkeys(("twin_value", "gap", "gap_low", "gap_high"), float("nan"))
    gap = estimate - twin
    gap_low, gap_high = gap.interval(confidence)
    return row | {"twin_value": twin.value, "gap": gap.value, "gap_low": gap_low, "gap_high": gap_high}


def shapley_of_metric(figures: Figures, metric: str) -> dict[str, Estimate]:
    """Return each field's Shapley value of a metric; they sum to its value with all fields minus that with none."""
    return {
        field: mixture(list(weights.values()), [figures[shown_name(shown)][metric] for shown in weights])
        for field, weights in set_weights(FIELDS).items()
    }


def break_even(full: Estimate, none: Estimate, twin: Estimate) -> Estimate:
    """Return the share of missing records, 0..1, at which a multimodal model performs no better than its twin.

    0 where it is never better, 1 where it is better even with every record missing.
    """
    lead, fall = full.draws - twin.draws, full.draws - none.draws
    return Estimate(
        float(_share(np.array([full.value - twin.value]), np.array([full.value - none.value]))[0]), _share(lead, fall)
    )


def _share(lead: np.ndarray, fall: np.ndarray) -> np.ndarray:
    share = np.divide(lead, fall, out=np.ones_like(lead), where=fall > 0)
    return np.where(lead <= 0, 0.0, np.clip(share, 0, 1))
