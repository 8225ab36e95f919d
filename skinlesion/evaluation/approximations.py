"""Where intervals and tests are known to miss their level, in words, for the outputs that show them; "" elsewhere.

The thresholds, in lesions of the smallest class that a figure is about, are where the simulations of
benchmarks/validity.md leave 93 to 97 % coverage and 3.5 to 6.5 % type I error. Below the minimum sizes
(`minimum_sizes`) there is no interval at all.
"""

from skinlesion.evaluation.minimum_sizes import OF_EVERY_CLASS, LesionNumbers, lesions_behind

#: Fewer lesions of a class than this: the interval of its AUC is too wide.
FEW_FOR_AUC = 20
#: Fewer lesions of a class than this: the interval of its sensitivity is too wide, and tests of differences in its
#: sensitivity or AUC reject too seldom.
FEW_FOR_CLASS = 30
#: Fewer lesions of some class than this: the interval of a mean over classes is rough.
FEW_FOR_MEAN = 15
#: Fewer lesions of some class than this: a bootstrap interval is too narrow.
FEW_FOR_BOOTSTRAP = 60

_PAGE = "benchmarks/validity.md"

#: Kind of metric, fewer lesions than which, and what simulations then show; a kind of "any" is every metric.
_Rules = tuple[tuple[str, int, str], ...]
_INTERVAL: _Rules = (
    ("auc", FEW_FOR_AUC, "a 95% interval covers 94 to 100%: often wider than it need be"),
    ("sensitivity", FEW_FOR_CLASS, "a 95% interval covers 95 to 100%: often wider than it need be"),
    ("mean", FEW_FOR_MEAN, "a 95% interval covers 92 to 96%"),
)
_DIFFERENCE: _Rules = (
    ("auc", FEW_FOR_CLASS, "a 5% test rejects 2 to 6%: often conservative"),
    ("sensitivity", FEW_FOR_CLASS, "a 5% test rejects 0 to 6%: often conservative"),
    ("mean", FEW_FOR_MEAN, "a 5% test rejects 3 to 7%"),
)
_BOOTSTRAP: _Rules = (("any", FEW_FOR_BOOTSTRAP, "a 95% bootstrap interval covers 74 to 95%"),)


def approximate_interval(numbers: LesionNumbers, metric: str) -> str:
    """Return how far the t interval of one model's metric is off, "" where it holds.

    Args:
        metric: a name in metrics.json, such as `auc_mel`.
    """
    return _caution(numbers, metric, _INTERVAL)


def approximate_difference(numbers: LesionNumbers, metric: str) -> str:
    """Return how far the t interval and test of a difference are off, "" where they hold."""
    return _caution(numbers, metric, _DIFFERENCE)


def approximate_bootstrap(numbers: LesionNumbers, metric: str) -> str:
    """Return how far the percentile bootstrap is off, "" where it holds."""
    return _caution(numbers, metric, _BOOTSTRAP)


def _caution(numbers: LesionNumbers, metric: str, rules: _Rules) -> str:
    """Return the words of the first rule that applies to the kind of lesion with the fewest that a metric is about."""
    behind = lesions_behind(numbers, metric)
    if not behind:
        return ""
    name, few = min(behind.items(), key=lambda item: item[1])
    kind = "mean" if metric in OF_EVERY_CLASS else "auc" if metric == "malignant_auc" else metric.rpartition("_")[0]
    for of, enough, how in rules:
        if of in (kind, "any") and few < enough:
            return f"approximate: {few:,} {name} lesions, {how} ({_PAGE})"
    return ""
