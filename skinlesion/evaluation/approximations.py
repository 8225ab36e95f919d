"""Where intervals and tests are known to miss their level, in words, for the outputs that show them; "" elsewhere.

The thresholds, in lesions of the smallest class that a figure is about, are where the simulations of
benchmarks/validity.md leave 93 to 97 % coverage and 3.5 to 6.5 % type I error. Below the minimum sizes
(`minimum_sizes`) there is no interval at all.
"""

from skinlesion.evaluation.minimum_sizes import LesionNumbers, lesions_behind

#: Fewer lesions of a class than this: the interval of its AUC is too narrow.
FEW_FOR_AUC = 100
#: Fewer lesions of a class than this: the interval of its sensitivity is too wide, and tests of differences in its
#: sensitivity or AUC reject too seldom.
FEW_FOR_CLASS = 30
#: Fewer lesions of some class than this: the interval of a mean over classes is rough.
FEW_FOR_MEAN = 15
#: Fewer lesions of some class than this: a bootstrap interval is too narrow.
FEW_FOR_BOOTSTRAP = 60

_MEANS = ("balanced_accuracy", "macro_f1", "macro_auc")
_PAGE = "benchmarks/validity.md"


def approximate_interval(numbers: LesionNumbers, metric: str) -> str:
    """Return how far the t interval of one model's metric is off, "" where it holds.

    Args:
        metric: a name in metrics.json, such as `auc_mel`.
    """
    kind, few = _smallest(numbers, metric)
    family = metric.rpartition("_")[0]
    if family == "auc" and few < FEW_FOR_AUC:
        return _words(kind, few, "a 95% interval covers 85 to 94%")
    if family == "sensitivity" and few < FEW_FOR_CLASS:
        return _words(kind, few, "a 95% interval covers 97 to 99%: wider than it need be")
    if metric in _MEANS and few < FEW_FOR_MEAN:
        return _words(kind, few, "a 95% interval covers 92 to 96%")
    return ""


def approximate_difference(numbers: LesionNumbers, metric: str) -> str:
    """Return how far the t interval and test of a difference are off, "" where they hold."""
    kind, few = _smallest(numbers, metric)
    if metric.rpartition("_")[0] in ("auc", "sensitivity") and few < FEW_FOR_CLASS:
        return _words(kind, few, "a 5% test rejects 1 to 4%: conservative")
    if metric in _MEANS and few < FEW_FOR_MEAN:
        return _words(kind, few, "a 5% test rejects 3 to 7%")
    return ""


def approximate_bootstrap(numbers: LesionNumbers, metric: str) -> str:
    """Return how far the percentile bootstrap is off, "" where it holds."""
    kind, few = _smallest(numbers, metric)
    if few < FEW_FOR_BOOTSTRAP:
        return _words(kind, few, "a 95% bootstrap interval covers 74 to 94%")
    return ""


def _smallest(numbers: LesionNumbers, metric: str) -> tuple[str, int]:
    """Return the kind of lesion with the fewest that a metric is about, and how many."""
    kinds = lesions_behind(numbers, metric)
    return min(((name, count) for name, count in kinds.items()), key=lambda item: item[1], default=("", 10**9))


def _words(kind: str, count: int, how: str) -> str:
    return f"approximate: {count:,} {kind} lesions, {how} ({_PAGE})"
