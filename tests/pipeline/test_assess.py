"""assess, metadata and score on a small workspace: what they write, and that anyone can recompute it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skinlesion.results.selection import twin_of
from tests.conftest import small_params, trained_workspace

RUN = ["image_id", "fold", "seed", "repeat"]
SEEDS = {"folds": [0, 1], "seeds": [0, 1], "epochs": 2}


@pytest.fixture(scope="module")
def evaluated(prepared_template, tmp_path_factory):
    """A workspace with two experiments of two folds and seeds, and their ensemble."""
    folder = tmp_path_factory.mktemp("evaluated") / "workspace"
    both = {"both": {"members": ["image", "concat"]}}
    trained_workspace(prepared_template, folder, small_params(train=SEEDS, ensembles=both))
    return folder


def test_masked_predictions_stand_beside_the_whole_ones(evaluated):
    runs = evaluated / "reports/runs"
    masked = pd.read_csv(runs / "concat/masked.csv")
    whole = pd.read_csv(runs / "concat/predictions.csv")
    assert set(masked["shown"]) == {
        "none", "age", "sex", "localization", "age+sex", "age+localization", "sex+localization", "permuted",
    }  # fmt: skip
    for _, rows in masked.groupby("shown"):
        ordered = rows.sort_values(["repeat", "seed", "fold", "image_id"], ignore_index=True)
        pd.testing.assert_frame_equal(ordered[RUN], whole[RUN])
        np.testing.assert_allclose(ordered.filter(like="p_").sum(axis=1), 1, atol=1e-5)
    image = pd.read_csv(runs / "image/masked.csv")
    assert image.empty
    assert list(image.columns) == list(masked.columns)


@pytest.mark.parametrize("name", ["image", "both"])
def test_assess_writes_flat_figures_and_its_tables(evaluated, run, name):
    outcome = run("assess", name, cwd=evaluated)
    assert outcome.code == 0, outcome.err
    folder = evaluated / "reports/assessments" / name
    figures = json.loads((folder / "assessment.json").read_text())
    assert all(isinstance(value, float) for value in figures.values())
    notes = json.loads((folder / "notes.json").read_text())
    for metric in (
        "rms_calibration_error_uncalibrated", "rms_calibration_error_calibrated", "conformal_coverage_lac_by_class",
        "aurc", "malignant_average_precision",
        "malignant_sensitivity_at_90_percent_specificity", "malignant_net_benefit_at_10_percent_risk", "expected_cost",
        "melanomas_missed_per_1000_lesions", "by_lesion_balanced_accuracy",
    ):  # fmt: skip
        assert metric in figures, metric
        assert metric in outcome.out
        # So few images hold classes of fewer than five lesions.
        if metric not in notes["without_interval"]:
            assert figures[f"{metric}_low"] <= figures[metric] <= figures[f"{metric}_high"]
    assert "by_lesion_balanced_accuracy" in notes["without_interval"]
    assert "rms_calibration_error_calibrated" not in notes["without_interval"]
    assert len(notes["runs"]) == 4
    assert notes["subgroup_columns_not_in_the_data"] == ["dataset", "confirmed"]
    calibration = pd.read_csv(folder / "calibration.csv")
    assert set(calibration["probabilities"]) == {"uncalibrated", "temperature", "vector", "isotonic"}
    curve = pd.read_csv(folder / "decision_curve.csv")
    assert curve.loc[0, "malignant"] == pytest.approx(curve.loc[0, "malignant_treat_all"])


def test_score_recomputes_every_figure_of_both_files(evaluated, run):
    run("assess", "concat", cwd=evaluated)
    folder = evaluated / "reports/runs/concat"
    outcome = run(
        "score", str(folder / "predictions.csv"), "--validation", str(folder / "validation.csv"), "--metadata",
        str(evaluated / "data/prepared/metadata.csv"), "--params", str(evaluated / "params.yaml"), "--json",
        cwd=evaluated,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    scored = json.loads(outcome.out)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(scored["metrics"]) == set(metrics)
    for name, value in metrics.items():
        assert scored["metrics"][name] == pytest.approx(value, abs=1e-9), name
    assessment = json.loads((evaluated / "reports/assessments/concat/assessment.json").read_text())
    assert set(scored["assessment"]) == set(assessment)
    for name, value in assessment.items():
        assert scored["assessment"][name] == pytest.approx(value, abs=1e-9), name


def test_score_without_validation_parts_fits_nothing(evaluated, run):
    folder = evaluated / "reports/runs/image"
    plain = json.loads(run("score", str(folder / "predictions.csv"), "--json", cwd=evaluated).out)
    assert "assessment" not in plain
    assert "temperature" not in plain["metrics"]
    rejected = run("score", str(folder / "predictions.csv"), "--out", "tables", cwd=evaluated)
    assert rejected.code == 2
    assert "give --validation too" in rejected.err


def test_fitted_values_do_not_depend_on_test_labels(evaluated, run, tmp_path):
    """Test labels turned into others change no temperature and no threshold."""
    from skinlesion.analysis.assessment.conformal import fit_run
    from skinlesion.analysis.assessment.decisions import thresholds
    from skinlesion.analysis.assessment.inputs import AssessmentInputs
    from skinlesion.evaluation.predictions import read_predictions
    from skinlesion.params_file import load_params

    params = load_params(evaluated / "params.yaml")
    folder = evaluated / "reports/runs/image"
    tested, _ = read_predictions(folder / "predictions.csv")
    validation, _ = read_predictions(folder / "validation.csv")
    table = pd.DataFrame({"image_id": tested.image_ids})
    relabelled = replace(tested, labels=(tested.labels + 1) % 7)
    original, changed = (
        AssessmentInputs.make(predictions, validation, table, params.evaluate, params.assess)
        for predictions in (tested, relabelled)
    )
    np.testing.assert_array_equal(original.calibrated, changed.calibrated)
    for side in ("specificity", "sensitivity"):
        np.testing.assert_array_equal(
            thresholds(original, "malignant", side, 0.9), thresholds(changed, "malignant", side, 0.9)
        )
    for run, changed_run in zip(original.runs(), changed.runs(), strict=True):
        np.testing.assert_array_equal(
            fit_run(original, run, "aps", True).thresholds, fit_run(changed, changed_run, "aps", True).thresholds
        )


def test_metadata_reports_the_gain_over_the_twin(evaluated, run):
    outcome = run("metadata", cwd=evaluated)
    assert outcome.code == 0, outcome.err
    out = evaluated / "reports/metadata"
    figures = json.loads((out / "metadata.json").read_text())
    assert set(figures) == {"concat"}
    shares = sum(figures["concat"][f"balanced_accuracy_from_{field}"] for field in ("age", "sex", "localization"))
    gain = figures["concat"]["balanced_accuracy"] - figures["concat"]["balanced_accuracy_all_missing"]
    assert shares == pytest.approx(gain)
    metrics = {
        name: json.loads((evaluated / f"reports/runs/{name}/metrics.json").read_text())["balanced_accuracy"]
        for name in ("image", "concat")
    }
    assert figures["concat"]["balanced_accuracy"] == pytest.approx(metrics["concat"])
    assert figures["concat"]["gain_over_image_only"] == pytest.approx(metrics["concat"] - metrics["image"])
    missing = pd.read_csv(out / "missing.csv")
    assert set(missing["twin"]) == {"image"}
    images = pd.read_csv(out / "images/concat.csv")
    whole = pd.read_csv(evaluated / "reports/runs/concat/predictions.csv").groupby("image_id")["p_mel"].mean()
    masked = pd.read_csv(evaluated / "reports/runs/concat/masked.csv")
    none = masked[masked["shown"] == "none"].groupby("image_id")["p_mel"].mean()
    added = images.set_index("image_id")[["age_p_mel", "sex_p_mel", "localization_p_mel"]].sum(axis=1)
    np.testing.assert_allclose(added, (whole - none).loc[added.index], atol=2e-5)


def test_a_version_that_masked_predictions_lack_is_named(evaluated, run):
    path = evaluated / "reports/runs/concat/masked.csv"
    whole = path.read_text()
    table = pd.read_csv(path, keep_default_na=False)
    try:
        table[table["shown"] != "age+sex"].to_csv(path, index=False)
        outcome = run("metadata", cwd=evaluated)
    finally:
        path.write_text(whole)
    assert outcome.code == 2
    assert "masked.csv: no predictions of version age+sex; run `skinlesion evaluate" in outcome.err


def test_a_twin_differs_in_metadata_alone():
    from skinlesion.params import Params

    experiments = {
        "image": {}, "image_slow": {"lr": 1e-5}, "concat": {"fusion": "concat", "metadata_hidden": [8]},
        "film_slow": {"fusion": "film", "lr": 1e-5, "folds": [0]}, "odd": {"fusion": "film", "dropout": 0.5},
        "alone": {"fusion": "metadata_only"}, "elsewhere": {"fusion": "concat", "processes": 2, "device": "cpu"},
        "other_dropout": {"fusion": "concat", "fusion_dropout": 0.5},
    }  # fmt: skip
    params = Params.model_validate({"experiments": experiments})
    twins = {"concat": "image", "film_slow": "image_slow", "odd": None, "alone": None, "elsewhere": "image",
             "other_dropout": None}  # fmt: skip
    assert {name: twin_of(params, name) for name in twins} == twins


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("assess", "imgae"), "neither experiment nor ensemble"),
        (("assess", "image"), "predictions.csv"),
        (("metadata",), "predictions.csv"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(workspace_folder, run, args, message):
    outcome = run(*args, cwd=workspace_folder)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_validation_of_other_runs_is_refused(evaluated, run, tmp_path):
    folder = evaluated / "reports/runs/image"
    table = pd.read_csv(folder / "validation.csv")
    table[table["fold"] == 0].to_csv(tmp_path / "half.csv", index=False)
    outcome = run("score", str(folder / "predictions.csv"), "--validation", str(tmp_path / "half.csv"), cwd=evaluated)
    assert outcome.code == 2
    assert "none of fold 1" in outcome.err
    table[table["seed"] == 0].to_csv(tmp_path / "one.csv", index=False)
    outcome = run("score", str(folder / "predictions.csv"), "--validation", str(tmp_path / "one.csv"), cwd=evaluated)
    assert "other seeds" in outcome.err
