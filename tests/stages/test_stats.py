"""The stage `stats` where params.yaml leaves something out."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from skinlesion.analysis.comparison import compare
from skinlesion.analysis.external_comparison import compare_external
from skinlesion.analysis.plan import Plan
from skinlesion.evaluation.predictions import restrict_images
from skinlesion.params_file import load_params
from skinlesion.results.claims_record import claims_record
from skinlesion.results.workspace import Workspace
from skinlesion.stages import stats as stats_stage
from skinlesion.stages.stats import stats
from tests.conftest import small_params, write_params
from tests.simulated import simulated


def test_without_claims_there_are_none_to_count(finished, tmp_path):
    folder = tmp_path / "workspace"
    shutil.copytree(finished / "reports", folder / "reports")
    write_params(folder, small_params(claims=[]))
    stats(load_params(folder / "params.yaml"), Workspace(folder))
    written = json.loads((folder / "reports/stats/stats.json").read_text())
    assert written["claims"] == {}


def test_claims_are_dated_by_the_params_file_that_was_given(finished, tmp_path, run, monkeypatch):
    folder = Path(shutil.copytree(finished, tmp_path / "workspace"))
    (folder / "params.yaml").rename(folder / "other.yaml")
    asked = []

    def record(path, metrics):
        asked.append(path)
        return claims_record(path, metrics)

    monkeypatch.setattr(stats_stage, "claims_record", record)
    assert run("stats", "--params", "other.yaml", cwd=folder).code == 0
    assert [path.name for path in asked] == ["other.yaml"]


def test_a_claim_on_a_metric_of_one_class_is_answered_for_its(finished, tmp_path):
    folder = tmp_path / "workspace"
    shutil.copytree(finished / "reports", folder / "reports")
    claim = {"claim": "c", "a": "image", "b": "concat", "direction": "higher", "source": "s"}
    metrics = ("accuracy", "sensitivity_nv", "malignant_auc")
    write_params(folder, small_params(claims=[claim | {"metric": metric} for metric in metrics]))
    comparisons = stats(load_params(folder / "params.yaml"), Workspace(folder))
    judged = comparisons[comparisons["family"] == "confirmatory"].set_index("metric")
    claims = pd.read_csv(folder / "reports/stats/claims.csv").set_index("metric")
    assert list(claims.index) == list(judged.index) == list(metrics)
    model_metrics = {
        name: json.loads((folder / f"reports/runs/{name}/metrics.json").read_text()) for name in ("image", "concat")
    }
    for metric in metrics:
        assert claims.loc[metric, "difference"] == pytest.approx(
            model_metrics["concat"][metric] - model_metrics["image"][metric], abs=1e-8
        )
        assert claims.loc[metric, "answer"]


def test_further_metrics_are_those_of_their_pair_in_either_order():
    predictions = {name: simulated(strength=strength) for name, strength in (("a", 1.0), ("b", 1.5), ("c", 1.2))}
    plan = Plan(("macro_f1",), "macro_f1", replicates=0, further={("b", "a"): ("auc_mel",)})
    table = compare(predictions, [("a", "b"), ("a", "c")], plan).table
    of_pair = table.groupby("b")["metric"].agg(set)
    assert of_pair["b"] == {"macro_f1", "auc_mel", "accuracy"}  # McNemar's rows are about the accuracy
    assert of_pair["c"] == {"macro_f1", "accuracy"}


def test_claims_on_classes_that_external_data_lack_are_left_out_there():
    predictions = {name: simulated(seeds=2, strength=strength) for name, strength in (("a", 1.0), ("b", 1.5))}
    kept_ids = predictions["a"].image_ids[predictions["a"].labels != 3]  # no dermatofibroma
    members = {name: restrict_images(model_predictions, kept_ids) for name, model_predictions in predictions.items()}
    plan = Plan(("macro_f1", "sensitivity_df"), "sensitivity_df", further={("b", "a"): ("f1_df", "f1_nv")})
    table = compare_external(members, [("a", "b")], plan)
    assert set(table["metric"]) == {"macro_f1", "f1_nv"}
