"""A summary and an assessment of few lesions say what they cannot answer; no interval shown excludes its value."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skinlesion.analysis.assessment.assess import assess_predictions
from skinlesion.analysis.summary import summarise, summarise_external
from skinlesion.evaluation.predictions import restrict_images
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.params import AssessParams, EvaluateParams
from skinlesion.stats.influence import influences
from skinlesion.vocabulary import CLASSES
from tests.simulated import simulated

EVALUATE = EvaluateParams(replicates=200)


def assessed(tested, validation=None):
    groups = pd.DataFrame({"image_id": tested.image_ids, "sex": np.where(np.arange(len(tested.labels)) % 3, "f", "m")})
    settings = AssessParams(subgroups=["sex"], smallest_group=1, smallest_cases=1)
    return assess_predictions(tested, validation or simulated(300, seed=1), groups, EVALUATE, settings)


def lesions_of(predictions, rows):
    return restrict_images(predictions, predictions.image_ids[np.isin(predictions.lesions, predictions.lesions[rows])])


def always_right(predictions):
    return replace(predictions, probabilities=np.stack([np.eye(7)[predictions.labels]] * len(predictions.layers)))


CASES = {
    "many": lambda full: full,
    "sharpened": lambda full: replace(full, probabilities=_sharp(full.probabilities)),
    "always right": always_right,
    "one lesion": lambda full: lesions_of(full, [0]),
    "two images": lambda full: restrict_images(full, full.image_ids[[5, 100]]),
    "nineteen lesions": lambda full: lesions_of(full, np.unique(full.lesions, return_index=True)[1][:19]),
    "one class": lambda full: restrict_images(full, full.image_ids[full.labels == CLASSES.index("nv")]),
    "one lesion of a class": lambda full: _all_but(full, "df", 1),
    "four lesions of a class": lambda full: _all_but(full, "df", 4),
}


def _sharp(probabilities):
    raised = probabilities**4
    return raised / raised.sum(axis=-1, keepdims=True)


def _all_but(full, name, kept):
    of_class = full.labels == CLASSES.index(name)
    chosen = np.unique(full.lesions[of_class])[:kept]
    return restrict_images(full, full.image_ids[~of_class | np.isin(full.lesions, chosen)])


@pytest.mark.parametrize("case", CASES)
def test_no_interval_shown_excludes_its_value_or_has_no_width(case):
    tested = CASES[case](simulated(400, seeds=2))
    if len(tested.probabilities) == 1:
        tested = replace(tested, seeds=tested.seeds[:1])
    validation = simulated(300, seed=1, seeds=len(tested.seeds))
    figures, tables, notes = assessed(tested, validation)
    summary, summary_notes = summarise(tested, EVALUATE)
    external, _ = summarise_external(tested, EVALUATE)
    for flat in (figures, summary, external):
        assert np.isfinite(list(flat.values())).all()
        for name in [name.removesuffix("_low") for name in flat if name.endswith("_low")]:
            assert flat[f"{name}_low"] - 1e-12 <= flat[name] <= flat[f"{name}_high"] + 1e-12, name
            assert flat[f"{name}_low"] < flat[f"{name}_high"], name
    for name, table in tables.items():
        if "low" in table:
            with_interval = table[table["low"].notna()]
            assert (with_interval["low"] <= with_interval["value"] + 1e-12).all(), name
            assert (with_interval["value"] <= with_interval["high"] + 1e-12).all(), name
            assert (with_interval["low"] < with_interval["high"]).all(), name
            without_interval = table[table["low"].isna() & table["value"].notna()]
            assert (without_interval["note"].str.len() > 0).all(), name
    for flat, note in ((figures, notes), (summary, summary_notes)):
        without = {name for name in flat if f"{name}_low" not in flat and name in note["without_interval"]}
        assert without == set(note["without_interval"])


@pytest.mark.parametrize("case", ["one lesion", "two images", "nineteen lesions"])
def test_few_lesions_have_values_without_intervals_and_say_so(case):
    tested = CASES[case](simulated(400))
    count = len(np.unique(tested.lesions))
    summary, notes = summarise(tested, EVALUATE)
    assert not [name for name in summary if name.endswith("_low")]
    assert "accuracy" in summary
    noun = "lesion" if count == 1 else "lesions"
    assert notes["without_interval"]["accuracy"] == f"{count} {noun}: fewer than the 20 that an interval needs"
    figures, tables, assess_notes = assessed(tested)
    assert not [name for name in figures if name.endswith(("_low", "_p"))]
    assert assess_notes["without_interval"]["aurc"] == notes["without_interval"]["accuracy"]
    for table in tables.values():
        for column in {"low", "high", "p", "p_adjusted"} & set(table):
            assert table[column].isna().all()


def test_one_lesion_of_a_class_gives_no_interval_for_the_class_and_means_over_classes():
    tested = CASES["one lesion of a class"](simulated(400))
    summary, notes = summarise(tested, EVALUATE)
    for name in ("sensitivity_df", "balanced_accuracy", "macro_f1", "f1_df"):
        assert f"{name}_low" not in summary
        assert notes["without_interval"][name] == "1 df lesion: fewer than the 5 that an interval needs"
    for name in ("accuracy", "weighted_f1", "sensitivity_mel", "specificity_mel"):
        assert summary[f"{name}_low"] < summary[f"{name}_high"]
    figures, _, assess_notes = assessed(tested)
    assert "by_lesion_balanced_accuracy_low" not in figures
    assert "by_lesion_accuracy_low" in figures
    assert "1 df lesion" in assess_notes["without_interval"]["by_lesion_macro_auc"]


def test_a_precision_needs_lesions_that_the_class_is_given_to():
    full = simulated(400)
    answers = np.where(full.labels == CLASSES.index("vasc"), CLASSES.index("nv"), full.labels)
    answers[full.lesions == full.lesions[0]] = CLASSES.index("vasc")
    _, notes = summarise(replace(full, probabilities=np.eye(7)[answers][None]), EVALUATE)
    assert notes["without_interval"]["precision_vasc"].startswith("1 called vasc lesion: fewer than the 5")


def test_intervals_are_over_trainings_too_where_there_are_several():
    several = simulated(400, seeds=3)
    first_layer = {name: getattr(several, name)[:1] for name in ("probabilities", "folds", "seeds", "repeats")}
    single_training = replace(several, **first_layer)
    widths = {}
    for name, predictions in (("several", several), ("one", single_training)):
        values, notes = summarise(predictions, EVALUATE)
        widths[name] = values["balanced_accuracy_high"] - values["balanced_accuracy_low"]
        assert notes["intervals"] == f"over lesions{' and trainings' if name == 'several' else ', for one training'}"
    estimate = influences(several.labels, several.probabilities, several.lesions, ["balanced_accuracy"], SCHEMA)
    low, high = estimate["balanced_accuracy"].interval()
    assert widths["several"] > high - low  # of these three trainings alone


def test_the_calibration_table_has_plug_in_errors_without_and_debiased_ones_with_an_interval():
    figures, tables, _ = assessed(CASES["sharpened"](simulated(400)), CASES["sharpened"](simulated(300, seed=1)))
    table = tables["calibration"].set_index(["probabilities", "metric"])
    for state in ("uncalibrated", "temperature", "vector", "isotonic"):
        for metric in ("ece", "ece_equal_mass", "ece_classwise", "brier_reliability"):
            row = table.loc[(state, metric)]
            assert row["value"] > 0
            assert np.isnan(row["low"])
            assert "plug-in" in row["note"]
        for metric in ("rms_calibration_error", "rms_calibration_error_malignant", "rms_calibration_error_melanoma"):
            row = table.loc[(state, metric)]
            assert 0 <= row["low"] <= row["value"] <= row["high"]
            assert (row["low"] > 0) == (row["p"] <= 0.05)
    assert figures["rms_calibration_error_uncalibrated_p"] < 1e-6
    assert figures["rms_calibration_error_uncalibrated_low"] > 0.05
    assert figures["rms_calibration_error_calibrated"] < 0.05
    assert figures["ece_calibrated"] > 0
    assert "ece_calibrated_low" not in figures


def test_an_assessment_computes_with_one_thread_of_blas(monkeypatch):
    from threadpoolctl import threadpool_info, threadpool_limits

    from skinlesion.analysis.assessment import assess

    used = []

    def headline(*args):
        used.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return whole(*args)

    whole = assess.headline
    monkeypatch.setattr(assess, "headline", headline)
    with threadpool_limits(2, user_api="blas"):
        assessed(simulated(300))
    assert set(used) == {1}
