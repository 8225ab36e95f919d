"""Which figures have too few lesions, or replicates that say nothing, and how that is said."""

import numpy as np
import pytest

from skinlesion.evaluation.minimum_sizes import (
    LesionNumbers,
    interval_warnings,
    replicates_say_nothing,
    too_few_lesions,
    too_few_of,
)

CLASSES = ("mel", "nv", "df")


def numbers(mel=30, nv=40, df=4):
    labels = np.repeat([0, 1, 2], [mel, nv, df])
    # Two images of every lesion.
    return LesionNumbers.of(np.tile(labels, 2), np.tile(np.arange(len(labels)), 2), CLASSES)


def test_lesions_are_counted_not_images():
    counted = numbers()
    assert counted.total == 74
    assert counted.by_class == {"mel": 30, "nv": 40, "df": 4}
    assert counted.without == {"mel": 44, "nv": 34, "df": 70}
    assert (counted.malignant, counted.benign) == (30, 44)


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("accuracy", ""),
        ("weighted_f1", ""),
        ("sensitivity_mel", ""),
        ("precision_df", ""),
        ("specificity_df", ""),
        ("malignant_auc", ""),
        ("sensitivity_df", "4 df lesions"),
        ("f1_df", "4 df lesions"),
        ("auc_df", "4 df lesions"),
        ("balanced_accuracy", "4 df lesions"),
        ("macro_f1", "4 df lesions"),
        ("macro_auc", "4 df lesions"),
    ],
)
def test_metrics_of_a_class_of_four_lesions_have_too_few_lesions(metric, reason):
    message = too_few_lesions(numbers(), metric)
    assert message.startswith(reason)
    assert bool(message) == bool(reason)
    assert too_few_lesions(numbers(df=5), metric) == ""
    # A class that is absent has no part in a mean over the classes present.
    assert too_few_lesions(numbers(df=0), "balanced_accuracy") == ""


def test_few_lesions_other_than_a_class():
    assert too_few_lesions(numbers(mel=2, nv=40, df=0), "specificity_nv").startswith("2 non-nv lesions")
    assert too_few_lesions(numbers(mel=1, nv=40, df=0), "malignant_auc").startswith("1 malignant lesion:")
    assert "5" in too_few_of({"mel": 4, "nv": 3})


def test_all_metrics_of_a_file_of_few_lesions_have_too_few_lesions():
    few = numbers(mel=7, nv=6, df=6)
    assert too_few_lesions(few) == "19 lesions: fewer than the 20 that an interval needs"
    assert too_few_lesions(few, "accuracy") == too_few_lesions(few)
    assert too_few_lesions(numbers(mel=7, nv=7, df=6)) == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((0.5, 0.4, 0.6, 0, 100), ""),
        ((0.5, 0.5, 0.6, 5, 100), ""),
        ((0.5, 0.4, 0.6, 6, 100), "6 of 100 bootstrap replicates are undefined"),
        ((0.5, np.nan, np.nan, 100, 100), "no bootstrap replicate has a value"),
        ((np.nan, 0.4, 0.6, 0, 100), "no bootstrap replicate has a value"),
        ((1.0, 1.0, 1.0, 0, 100), "the bootstrap replicates do not vary"),
        ((0.3, 0.4, 0.6, 0, 100), "the bootstrap replicates lie to one side of the value"),
    ],
)
def test_uninformative_replicates(arguments, reason):
    assert replicates_say_nothing(*arguments) == reason


def test_warnings_name_the_figures_of_each_reason():
    reasons = {"a": "too few", "b": "no variation", "c": "too few"}
    assert interval_warnings(reasons, {"d": "approximate: few"}) == [
        "too few; no interval of a, c", "no variation; no interval of b", "interval of d approximate: few",
    ]  # fmt: skip
