"""The stage `ensemble`: weights from validation alone, members that do not match, statistics on shared images."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import balanced_accuracy_score

from skinlesion.analysis.columns import LINEAR_METHOD
from skinlesion.vocabulary import CLASSES


@pytest.fixture(scope="module")
def evaluated(prepared_template, tmp_path_factory):
    """A workspace whose two experiments are trained and evaluated on two folds."""
    folder = tmp_path_factory.mktemp("ensemble") / "workspace"
    shutil.copytree(prepared_template, folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["train"] |= {"folds": [0, 1], "seeds": [0, 1], "lr": 0.02}
    params["experiments"] |= {"leaky": {"protocol": "image"}, "short": {"folds": [0]}}
    params["ensembles"] = {
        "both": {"members": ["image", "concat"], "method": "weighted"},
        "mixed": {"members": ["image", "leaky"]},
        "uneven": {"members": ["image", "short"]},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    from skinlesion.params_file import load_params
    from skinlesion.results.workspace import Workspace
    from skinlesion.stages.evaluate import evaluate
    from skinlesion.stages.train import train

    loaded, workspace = load_params(folder / "params.yaml"), Workspace(folder)
    for name in loaded.experiments:
        train(loaded, workspace, name)
        evaluate(loaded, workspace, name)
    return folder


def test_an_ensemble_is_the_weighted_mean_of_its_members_run_by_run(evaluated, run):
    outcome = run("ensemble", "--name", "both", cwd=evaluated)
    assert outcome.code == 0, outcome.err
    folder = evaluated / "reports/ensembles/both"
    weights = pd.read_csv(folder / "weights.csv").set_index(["repeat", "seed", "fold"])
    assert len(weights) == 4
    ensemble = pd.read_csv(folder / "predictions.csv")
    members = [pd.read_csv(evaluated / f"reports/runs/{name}/predictions.csv") for name in ("image", "concat")]
    columns = [name for name in ensemble.columns if name.startswith("p_")]
    order = ["repeat", "seed", "fold", "image_id"]
    ensemble, first, second = (table.sort_values(order, ignore_index=True) for table in (ensemble, *members))
    share = weights.loc[list(zip(ensemble["repeat"], ensemble["seed"], ensemble["fold"], strict=True))].to_numpy()
    expected = share[:, :1] * first[columns].to_numpy() + share[:, 1:] * second[columns].to_numpy()
    np.testing.assert_allclose(ensemble[columns].to_numpy(), expected, atol=1e-5)
    metrics = json.loads((folder / "metrics.json").read_text())
    by_seed = [
        balanced_accuracy_score(table["dx"], np.array(CLASSES)[table[columns].to_numpy().argmax(axis=1)])
        for _, table in ensemble.groupby("seed")
    ]
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(by_seed), abs=1e-12)
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
    # Some class has fewer than five lesions here.
    notes = json.loads((folder / "notes.json").read_text())
    assert "balanced_accuracy_low" not in metrics
    assert "fewer than the 5" in notes["without_interval"]["balanced_accuracy"]


def test_test_labels_do_not_reach_the_weights(evaluated, run):
    """Test predictions with their classes in reverse order leave every weight as it was."""
    run("ensemble", "--name", "both", cwd=evaluated)
    weights = evaluated / "reports/ensembles/both/weights.csv"
    before = weights.read_bytes()
    path = evaluated / "reports/runs/image/predictions.csv"
    original = path.read_bytes()
    table = pd.read_csv(path)
    columns = [name for name in table.columns if name.startswith("p_")]
    table[columns] = table[columns].to_numpy()[:, ::-1]
    table.to_csv(path, index=False)
    try:
        assert run("ensemble", "--name", "both", cwd=evaluated).code == 0
        assert weights.read_bytes() == before
    finally:
        path.write_bytes(original)


def test_members_that_do_not_fit_are_named(evaluated, run):
    for name, part in (("mixed", "leaky by image"), ("uneven", "image and short"), ("bth", "did you mean both")):
        outcome = run("ensemble", "--name", name, cwd=evaluated)
        assert outcome.code == 2
        assert part in outcome.err


def test_statistics_use_the_images_that_two_models_share(evaluated, run):
    """An experiment of one fold is compared with one of two on the fold they share; an ensemble is a model like any."""
    run("ensemble", "--name", "both", cwd=evaluated)
    params = yaml.safe_load((evaluated / "params.yaml").read_text())
    original = dict(params)
    params["ensembles"] = {"both": params["ensembles"]["both"]}
    params["stats"] = params["stats"] | {"pairs": [["image", "short"], ["image", "both"]]}
    (evaluated / "params.yaml").write_text(yaml.safe_dump(params))
    try:
        outcome = run("stats", cwd=evaluated)
        assert outcome.code == 0, outcome.err
    finally:
        (evaluated / "params.yaml").write_text(yaml.safe_dump(original))
    comparisons = pd.read_csv(evaluated / "reports/stats/comparisons.csv")
    split = pd.read_csv(evaluated / "data/splits/lesion.csv")
    one_fold, two_folds = split["part"].isin([0, 1]).sum(), split["part"].isin([0, 1, 2, 3]).sum()
    images = comparisons.groupby(["a", "b"])["images"].unique().map(list).to_dict()
    assert images == {("image", "short"): [one_fold], ("image", "both"): [two_folds], ("image", "concat"): [two_folds]}
    same = comparisons[(comparisons["a"] == "image") & (comparisons["b"] == "short")]
    metrics = json.loads((evaluated / "reports/runs/short/metrics.json").read_text())
    row = same[(same["metric"] == "balanced_accuracy") & (same["method"] == LINEAR_METHOD)].iloc[0]
    assert row["b_value"] == pytest.approx(metrics["balanced_accuracy"], rel=1e-6)
