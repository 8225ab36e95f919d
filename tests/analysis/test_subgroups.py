"""Subgroups against fairlearn; groups that are too small, gaps, the worst group, several p-values at once."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from skinlesion.analysis.assessment.inputs import AssessmentInputs
from skinlesion.analysis.assessment.subgroups import COLUMNS, subgroup_table
from skinlesion.evaluation.subgroups import joint_groups, make_groups
from skinlesion.params import AssessParams, EvaluateParams
from skinlesion.stats.multiplicity import holm
from skinlesion.vocabulary import CLASSES
from tests.simulated import simulated


@pytest.fixture(scope="module")
def assessed():
    tested, validation = simulated(2500, seeds=2), simulated(300, seeds=2, seed=9)
    rng = np.random.default_rng(0)
    lesion = np.unique(tested.lesions, return_inverse=True)[1]
    per_lesion = rng.choice(["female", "male", "unknown"], p=[0.48, 0.49, 0.03], size=lesion.max() + 1)
    source = rng.choice(["histo", "follow_up"], lesion.max() + 1)[lesion]
    table = pd.DataFrame({
        "image_id": tested.image_ids,
        "sex": per_lesion[lesion],
        "age": rng.choice([20.0, 40, 50, 70, 80, np.nan], size=lesion.max() + 1)[lesion],
        "dx_type": np.where(np.isin(tested.labels, [0, 1, 4]), "histo", source),
    })  # fmt: skip
    settings = AssessParams(subgroups=["sex", "age_band", "confirmed", "dataset"], smallest_group=150)
    inputs = AssessmentInputs.make(tested, validation, table, EvaluateParams(replicates=100), settings)
    groups, absent = make_groups(inputs.table, settings.subgroups)
    return inputs, groups, absent, subgroup_table(inputs, groups)


def sensitivity(truth, answers, labels):
    return recall_score(truth, answers, labels=labels, average="macro", zero_division=0)


def test_groups_partition_the_images_and_a_column_that_is_not_there_is_named(assessed):
    _, groups, absent, _ = assessed
    assert absent == ["dataset"]
    for column in ("sex", "age_band", "confirmed"):
        rows = np.sum([group.rows for group in groups if group.column == column], axis=0)
        assert (rows == 1).all()
    names = [group.name for group in groups if group.column == "age_band"]
    assert names == ["under 30", "30 to 44", "45 to 59", "60 to 74", "75 and over", "unknown"]


def test_values_by_group_are_fairlearns(assessed):
    from fairlearn.metrics import MetricFrame

    inputs, _, _, table = assessed
    for metric, function in (
        ("accuracy", accuracy_score),
        ("balanced_accuracy", lambda y, p: sensitivity(y, p, range(7))),
        ("sensitivity_mel", lambda y, p: sensitivity(y, p, [CLASSES.index("mel")])),
    ):
        by_seed = [
            MetricFrame(
                metrics=function,
                y_true=inputs.labels,
                y_pred=layer.argmax(axis=1),
                sensitive_features=inputs.table["sex"],
            ).by_group
            for layer in inputs.calibrated
        ]
        rows = table[(table["column"] == "sex") & (table["metric"] == metric)].set_index("group")
        for name in ("female", "male"):
            if metric == "balanced_accuracy":
                assert rows.loc[name, "classes"] == " ".join(CLASSES)
            assert rows.loc[name, "value"] == pytest.approx(np.mean([values[name] for values in by_seed]))


def test_a_gap_is_to_the_rest_and_changes_sign_with_the_groups(assessed):
    _, _, _, table = assessed
    rows = table[(table["column"] == "confirmed") & (table["metric"] == "accuracy")].set_index("group")
    histology, other = rows.loc["histology"], rows.loc["other"]
    assert histology["gap"] == pytest.approx(histology["value"] - other["value"])
    assert (histology["gap"], histology["gap_low"], histology["gap_high"]) == (
        pytest.approx(-other["gap"]), pytest.approx(-other["gap_high"]), pytest.approx(-other["gap_low"]),
    )  # fmt: skip


def test_small_groups_and_figures_on_few_cases_are_flagged_and_never_dropped(assessed):
    inputs, groups, _, table = assessed
    seen = set(zip(table["column"], table["group"], strict=True))
    assert seen == {(group.column, group.name) for group in groups}
    small = table[(table["column"] == "sex") & (table["group"] == "unknown")]
    assert len(small) == 1
    assert small["note"].iloc[0] == "too small: fewer than 150 lesions"
    assert small["value"].isna().all()
    other = table[(table["column"] == "confirmed") & (table["group"] == "other")].set_index("metric")
    assert np.isnan(other.loc["malignant_auc", "value"])
    assert other.loc["malignant_auc", "note"] == "fewer than 10 malignant lesions"
    histology = table[(table["column"] == "confirmed") & (table["group"] == "histology")].set_index("metric")
    rows = (inputs.table["dx_type"] == "histo").to_numpy()
    malignant = np.isin(inputs.labels, [0, 1, 4])
    by_seed = [roc_auc_score(malignant[rows], layer[rows][:, [0, 1, 4]].sum(axis=1)) for layer in inputs.calibrated]
    assert histology.loc["malignant_auc", "value"] == pytest.approx(np.mean(by_seed))
    assert np.isnan(histology.loc["malignant_auc", "gap"])
    assert histology.loc["malignant_auc", "note"].startswith("no gap")


def test_p_values_are_adjusted_over_all_groups_of_a_metric(assessed):
    _, _, _, table = assessed
    rows = table[(table["metric"] == "accuracy") & table["p"].notna()]
    assert len(rows) > 8
    np.testing.assert_allclose(rows["p_adjusted"], holm(rows["p"].to_numpy()))


def test_the_worst_group_is_the_lowest_and_for_a_bias_the_farthest_from_none(assessed):
    _, _, _, table = assessed
    rows = table[(table["column"] == "age_band") & (table["metric"] == "accuracy") & table["value"].notna()]
    assert rows.loc[rows["worst"] == "worst", "value"].item() == rows["value"].min()
    rows = table[(table["column"] == "age_band") & (table["metric"] == "confidence_minus_accuracy")]
    assert abs(rows.loc[rows["worst"] == "worst", "value"].item()) == rows["value"].abs().max()


def test_no_groups_make_an_empty_table(assessed):
    inputs = assessed[0]
    table = subgroup_table(inputs, [])
    assert list(table.columns) == list(COLUMNS)
    assert table.empty


def test_a_group_in_which_the_model_fails_is_found():
    """Answers of one sex are shuffled: its accuracy falls and the gap is certain, the other columns' is not."""
    tested, validation = simulated(800, seed=1), simulated(300, seed=9)
    lesion = np.unique(tested.lesions, return_inverse=True)[1]
    rng = np.random.default_rng(0)
    shuffled_rows = (rng.random(lesion.max() + 1) < 0.4)[lesion]
    probabilities = tested.probabilities.copy()
    rows = np.flatnonzero(shuffled_rows)
    probabilities[0, rows] = probabilities[0, rng.permutation(rows)]
    tested = replace(tested, probabilities=probabilities)
    table = pd.DataFrame({
        "image_id": tested.image_ids,
        "sex": np.where(shuffled_rows, "female", "male"),
        "localization": rng.choice(["back", "face"], lesion.max() + 1)[lesion],
    })  # fmt: skip
    settings = AssessParams(subgroups=["sex", "localization"])
    inputs = AssessmentInputs.make(tested, validation, table, EvaluateParams(replicates=500), settings)
    shuffled = subgroup_table(inputs, make_groups(inputs.table, settings.subgroups)[0])
    rows = shuffled[shuffled["metric"] == "accuracy"].set_index("group")
    assert rows.loc["female", "gap_high"] < 0
    assert rows.loc["female", "p_adjusted"] < 0.05
    assert rows.loc["back", "p_adjusted"] > 0.05


def test_a_missing_age_or_sex_joins_no_known_group():
    table = pd.DataFrame(
        {"age": [20, 29.9, 30, np.nan, np.nan, 20, 20], "sex": ["male", "male", "male", "male", np.nan, "unknown", ""]}
    )
    groups = joint_groups(table, ["age_band", "sex"])
    assert groups.dtype == np.int64
    first, same, older, missing_age, missing_both, *missing_sex = groups.tolist()
    assert first == same
    assert (
        len({first, older, missing_age, missing_both, missing_sex[0]}) == 5
    )  # missing sex, age or both: groups of their own
    assert missing_sex[0] == missing_sex[1]
    assert sorted(set(groups.tolist())) == list(range(5))
    assert joint_groups(table[["sex"]], ["age_band", "sex"]).max() == 1  # male, unknown
    assert joint_groups(table[[]], ["age_band", "sex"]).tolist() == [0] * 7
