"""Ensembles: weights from validation alone, and members that do not fit together are refused."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.optimize import minimize

from skinlesion.errors import UserError
from skinlesion.evaluation.ensembles import combine, member_weights


def simulated(models=3, images=400, seed=0):
    """Labels and probabilities (M, N, 7) of models of which the first knows most."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % 7)
    logits = rng.normal(size=(models, images, 7))
    for model in range(models):
        logits[model, np.arange(images), labels] += 2.0 / (model + 1)
    powers = np.exp(logits)
    return labels, powers / powers.sum(axis=2, keepdims=True)


def test_the_mean_is_the_mean():
    labels, probabilities = simulated()
    weights = member_weights("mean", labels, probabilities)
    np.testing.assert_allclose(combine(weights, probabilities), probabilities.mean(axis=0))


def test_mixture_weights_are_the_minimum_that_scipy_finds():
    labels, probabilities = simulated()
    labels = np.where(labels > 3, 0, labels)  # uneven classes: each counts the same
    weights = member_weights("weighted", labels, probabilities)
    own = probabilities[:, np.arange(len(labels)), labels]
    image = 1 / np.bincount(labels)[labels]

    def loss(free):
        return -(image * np.log(free @ own)).sum() / image.sum()

    simplex = {"type": "eq", "fun": lambda free: free.sum() - 1}
    found = minimize(loss, np.full(3, 1 / 3), bounds=[(0, 1)] * 3, constraints=simplex, tol=1e-12)
    np.testing.assert_allclose(weights, found.x, atol=1e-3)
    assert weights.sum() == pytest.approx(1)


def test_greedy_starts_with_the_best_and_is_never_worse():
    labels, probabilities = simulated()
    weights = member_weights("greedy", labels, probabilities)

    def balanced(predicted):
        return np.mean([(predicted[labels == c] == c).mean() for c in range(7)])

    alone = [balanced(one.argmax(1)) for one in probabilities]
    assert balanced(combine(weights, probabilities).argmax(1)) >= max(alone)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0


@pytest.mark.parametrize("method", ["mean", "weighted", "greedy"])
def test_one_member_is_itself(method):
    labels, probabilities = simulated(models=1)
    np.testing.assert_allclose(member_weights(method, labels, probabilities), [1.0])


def test_a_useless_member_gets_little():
    labels, probabilities = simulated(models=2)
    probabilities[1] = 1 / 7
    for method in ("weighted", "greedy"):
        assert member_weights(method, labels, probabilities)[0] > 0.8


def test_an_unknown_method_names_the_known():
    with pytest.raises(UserError, match="mean, weighted, greedy"):
        member_weights("median", *simulated())


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
    from skinlesion.params import load_params
    from skinlesion.stages.evaluate import evaluate
    from skinlesion.stages.train import train
    from skinlesion.stages.workspace import Workspace

    loaded, workspace = load_params(folder / "params.yaml"), Workspace(folder)
    for name in loaded.experiments:
        settings = loaded.experiment(name)
        train(settings, loaded.split, workspace, workspace.model(name), name)
        evaluate(settings, loaded.split, loaded.evaluate, workspace, workspace.model(name), workspace.results(name))
    return folder


def test_an_ensemble_is_the_weighted_mean_of_its_members_run_by_run(evaluated, run):
    outcome = run("ensemble", "--name", "both", cwd=evaluated)
    assert outcome.code == 0, outcome.err
    folder = evaluated / "reports/ensembles/both"
    weights = pd.read_csv(folder / "weights.csv").set_index(["seed", "fold"])
    assert len(weights) == 4
    made = pd.read_csv(folder / "predictions.csv")
    members = [pd.read_csv(evaluated / f"reports/runs/{name}/predictions.csv") for name in ("image", "concat")]
    columns = [name for name in made.columns if name.startswith("p_")]
    order = ["seed", "fold", "image_id"]
    made, first, second = (table.sort_values(order, ignore_index=True) for table in (made, *members))
    share = weights.loc[list(zip(made["seed"], made["fold"], strict=True))].to_numpy()
    expected = share[:, :1] * first[columns].to_numpy() + share[:, 1:] * second[columns].to_numpy()
    np.testing.assert_allclose(made[columns].to_numpy(), expected, atol=1e-5)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 <= metrics["balanced_accuracy_low"] <= metrics["balanced_accuracy"] <= 1


def test_test_labels_do_not_reach_the_weights(evaluated, run):
    """Test predictions turned upside down leave every weight as it was."""
    run("ensemble", "--name", "both", cwd=evaluated)
    weights = evaluated / "reports/ensembles/both/weights.csv"
    before = weights.read_bytes()
    path = evaluated / "reports/runs/image/predictions.csv"
    kept = path.read_bytes()
    table = pd.read_csv(path)
    columns = [name for name in table.columns if name.startswith("p_")]
    table[columns] = table[columns].to_numpy()[:, ::-1]
    table.to_csv(path, index=False)
    try:
        assert run("ensemble", "--name", "both", cwd=evaluated).code == 0
        assert weights.read_bytes() == before
    finally:
        path.write_bytes(kept)


def test_members_that_do_not_fit_are_named(evaluated, run):
    for name, part in (("mixed", "leaky by image"), ("uneven", "image and short"), ("bth", "did you mean both")):
        outcome = run("ensemble", "--name", name, cwd=evaluated)
        assert outcome.code == 2
        assert part in outcome.err


def test_statistics_meet_on_the_images_two_models_share(evaluated, run):
    """An experiment of one fold is compared with one of two on the fold they share; an ensemble is a model like any."""
    run("ensemble", "--name", "both", cwd=evaluated)
    params = yaml.safe_load((evaluated / "params.yaml").read_text())
    kept = dict(params)
    params["ensembles"] = {"both": params["ensembles"]["both"]}
    params["stats"] = params["stats"] | {"pairs": [["image", "short"], ["image", "both"]]}
    (evaluated / "params.yaml").write_text(yaml.safe_dump(params))
    try:
        outcome = run("stats", cwd=evaluated)
        assert outcome.code == 0, outcome.err
    finally:
        (evaluated / "params.yaml").write_text(yaml.safe_dump(kept))
    comparisons = pd.read_csv(evaluated / "reports/stats/comparisons.csv")
    split = pd.read_csv(evaluated / "data/splits/lesion.csv")
    one_fold, two_folds = split["part"].isin([0, 1]).sum(), split["part"].isin([0, 1, 2, 3]).sum()
    images = comparisons.groupby(["a", "b"])["images"].unique().map(list).to_dict()
    assert images == {("image", "short"): [one_fold], ("image", "both"): [two_folds], ("image", "concat"): [two_folds]}
    same = comparisons[(comparisons["a"] == "image") & (comparisons["b"] == "short")]
    metrics = json.loads((evaluated / "reports/runs/short/metrics.json").read_text())
    row = same[(same["metric"] == "balanced_accuracy") & same["method"].str.contains("clustered by lesion")].iloc[0]
    assert row["b_value"] == pytest.approx(metrics["balanced_accuracy"], rel=1e-6)
