"""What a multimodal model comes to when metadata are missing, and each field's share: mixtures of masked estimates.

A share r of missing metadata leaves an image's answer a draw between the answers with and without them. Counts are
linear in such draws, so the expected sensitivity, balanced accuracy and accuracy are mixtures of the figures with each
set of fields shown: exact, nothing is simulated.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from skinlesion.evaluation.shapley import set_weights
from skinlesion.stats.lesion_bootstrap import Estimate, mixture
from skinlesion.vocabulary import CLASSES

FIELDS = ("age", "sex", "localization")
RATES = tuple(share / 10 for share in range(11))

#: Metrics that are linear in the images' answers.
LINEAR = ("balanced_accuracy", "accuracy", *(f"sensitivity_{name}" for name in CLASSES))

Figures = Mapping[str, Mapping[str, Estimate]]  # version → metric → estimate


def shown_name(shown: Sequence[str]) -> str:
    """Return how masked.csv names a set of shown fields."""
    return "+".join(field for field in FIELDS if field in shown) or "none"


SETS = [shown for size in range(len(FIELDS) + 1) for shown in combinations(FIELDS, size)]


def missing_weights(what: str, rate: float) -> dict[str, float]:
    """Return the share of images with each set of fields shown, when `what` is missing at a rate in 0..1.

    `what`: "record" (all fields together), "each field" (independently), or one field.
    """
    if what == "record":
        return {shown_name(FIELDS): 1 - rate, "none": rate}
    if what == "each field":
        return {shown_name(shown): (1 - rate) ** len(shown) * rate ** (len(FIELDS) - len(shown)) for shown in SETS}
    return {shown_name(FIELDS): 1 - rate, shown_name([field for field in FIELDS if field != what]): rate}


def missing_rows(figures: Figures, twin: Mapping[str, Estimate] | None, confidence: float) -> Iterator[dict[str, Any]]:
    """Yield `missing, missing_in, rate, metric, value, low, high, twin_value, gap, gap_low, gap_high`.

    `missing_in` is "all", or the one class whose records are missing ("record" only). Gaps are to the twin.
    """
    for what in ("record", "each field", *FIELDS):
        for rate in RATES:
            weights = missing_weights(what, rate)
            for metric in LINEAR:
                one = mixture(list(weights.values()), [figures[name][metric] for name in weights])
                about = {"missing": what, "missing_in": "all", "rate": rate, "metric": metric}
                yield about | _described(one, None if twin is None else twin[metric], confidence)
    for name in CLASSES:
        for rate in RATES:
            for metric, one in _missing_in_class(figures, name, rate).items():
                about = {"missing": "record", "missing_in": name, "rate": rate, "metric": metric}
                yield about | _described(one, None if twin is None else twin[metric], confidence)


def _missing_in_class(figures: Figures, name: str, rate: float) -> dict[str, Estimate]:
    """Return a class's sensitivity and the balanced accuracy when records of that class alone are missing."""
    full, none = figures[shown_name(FIELDS)], figures["none"]
    metric = f"sensitivity_{name}"
    own = mixture([1 - rate, rate], [full[metric], none[metric]])
    if np.isnan(own.value):
        return {}
    present = sum(not np.isnan(full[f"sensitivity_{one}"].value) for one in CLASSES)
    # The other classes keep their sensitivity, so the mean moves by this one's share.
    moved = mixture([1, 1 / present, -1 / present], [full["balanced_accuracy"], own, full[metric]])
    return {metric: own, "balanced_accuracy": moved}


def _described(one: Estimate, twin: Estimate | None, confidence: float) -> dict[str, float]:
    low, high = one.interval(confidence)
    found = {"value": one.value, "low": low, "high": high}
    if twin is None:
        return found | dict.fromkeys(("twin_value", "gap", "gap_low", "gap_high"), float("nan"))
    gap = one - twin
    gap_low, gap_high = gap.interval(confidence)
    return found | {"twin_value": twin.value, "gap": gap.value, "gap_low": gap_low, "gap_high": gap_high}


def shapley_of_metric(figures: Figures, metric: str) -> dict[str, Estimate]:
    """Return each field's Shapley value of a metric; they sum to its value with all fields minus that with none."""
    return {
        field: mixture(list(weights.values()), [figures[shown_name(tuple(shown))][metric] for shown in weights])
        for field, weights in set_weights(FIELDS).items()
    }


def break_even(full: Estimate, none: Estimate, twin: Estimate) -> Estimate:
    """Return the share of missing records, 0..1, at which a multimodal model does no better than its twin.

    0 where it never does better, 1 where it does even with every record missing.
    """
    lead, fall = full.draws - twin.draws, full.draws - none.draws
    return Estimate(
        float(_share(np.array([full.value - twin.value]), np.array([full.value - none.value]))[0]), _share(lead, fall)
    )


def _share(lead: np.ndarray, fall: np.ndarray) -> np.ndarray:
    share = np.divide(lead, fall, out=np.ones_like(lead), where=fall > 0)
    return np.where(lead <= 0, 0.0, np.clip(share, 0, 1))
