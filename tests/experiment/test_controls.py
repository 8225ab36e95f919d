"""Repeats, the placebo and the injected leak as an experiment sees them: rows, records, predictions, files."""

import json

import numpy as np
import pandas as pd
import pytest

from skinlesion.errors import UserError
from skinlesion.evaluation.predictions import restrict_repeats
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.experiment.training_runs import train_experiment
from skinlesion.params import SplitParams, TrainParams
from skinlesion.params_file import load_params
from skinlesion.results.reader import Results
from skinlesion.results.selection import mean_balanced_accuracy
from skinlesion.results.workspace import Workspace
from skinlesion.stages.assess import assess
from skinlesion.stages.ensemble import ensemble
from skinlesion.stages.evaluate import evaluate
from skinlesion.stages.metadata import metadata
from skinlesion.stages.split import split
from skinlesion.stages.stats import stats
from skinlesion.stages.train import train
from skinlesion.training.runs import Run
from tests.conftest import TINY, small_params, write_params

SMALL = {"backbone": TINY, "weights": "none", "input_size": 32, "epochs": 2, "batch_size": 32}
RECORD = ["age", "sex", "localization"]


def opened(folder, *, repeats=1, **settings):
    return Inputs(Workspace(folder), TrainParams(**SMALL, **settings), SplitParams(repeats=repeats))


@pytest.fixture
def repeated_folder(workspace_folder):
    params = load_params(write_params(workspace_folder, small_params(split={"repeats": 3})))
    split(params, Workspace(workspace_folder))
    return workspace_folder


# Repeats


def test_the_split_stage_certifies_every_repeat_and_changes_nothing_of_the_first(workspace_folder):
    params, workspace = load_params(workspace_folder / "params.yaml"), Workspace(workspace_folder)
    before = pd.read_csv(workspace.splits / "lesion.csv")
    alone = split(params, workspace)
    more = split(load_params(write_params(workspace_folder, small_params(split={"repeats": 3}))), workspace)
    assert list(more["repeats"]) == ["repeat1", "repeat2"]
    assert {name: value for name, value in more.items() if name != "repeats"} == alone
    written = pd.read_csv(workspace.splits / "lesion.csv")
    assert written[list(before.columns)].equals(before)
    hashes = [more["lesion"]["table_sha256"]]
    for described in more["repeats"].values():
        assert described["lesion"]["lesions_across_parts"] == 0
        assert described["image"]["lesions_across_parts"] > 0
        assert described["lesion"]["exact_duplicates_across_parts"] == 0
        hashes.append(described["lesion"]["table_sha256"])
    assert len(set(hashes)) == 3
    assert json.loads((workspace.reports / "split.json").read_text()) == more


def test_a_repeat_has_rows_and_a_hash_of_its_own(repeated_folder):
    inputs = opened(repeated_folder, repeats=3)
    for repeat in range(3):
        tested = np.concatenate([inputs.rows(fold, "test", repeat) for fold in range(5)])
        assert sorted(tested) == list(range(200))
        for fold in range(5):
            trained, test = (set(inputs.lesions[inputs.rows(fold, role, repeat)]) for role in ("train", "test"))
            assert not trained & test
    hashes = [inputs.hashes(repeat) for repeat in range(3)]
    assert len({repeat_hashes["split"] for repeat_hashes in hashes}) == 3
    assert len({repeat_hashes["metadata"] for repeat_hashes in hashes}) == 1


def test_the_first_repeat_has_the_hash_of_a_split_without_repeats(workspace_folder):
    before = opened(workspace_folder).hashes()
    params = load_params(write_params(workspace_folder, small_params(split={"repeats": 3})))
    split(params, Workspace(workspace_folder))
    assert opened(workspace_folder, repeats=3).hashes(0) == before


def test_a_partition_that_the_split_lacks_is_reported(workspace_folder):
    inputs = Inputs(Workspace(workspace_folder), TrainParams(**SMALL, repeats=[1]), SplitParams(repeats=2))
    with pytest.raises(UserError, match=r"lesion\.csv: has no column part_1; run `skinlesion split`"):
        inputs.rows(0, "train", 1)


def test_more_repeats_leave_the_runs_that_there_are(repeated_folder):
    workspace, drawn, out = Workspace(repeated_folder), SplitParams(repeats=3), repeated_folder / "models/image"
    folds = list(range(5))
    first = train_experiment(workspace, TrainParams(**SMALL, folds=folds), drawn, out, "image")
    assert not any(run.skipped for run in first)
    weights = (out / "fold0-seed0/weights.safetensors").read_bytes()
    more = train_experiment(workspace, TrainParams(**SMALL, folds=folds, repeats=[0, 2]), drawn, out, "image")
    assert [(run.run.repeat, run.skipped) for run in more] == [(0, True)] * 5 + [(2, False)] * 5
    assert (out / "fold0-seed0/weights.safetensors").read_bytes() == weights
    assert (out / "repeat2-fold0-seed0/weights.safetensors").read_bytes() != weights
    described = json.loads((out / "repeat2-fold3-seed0/run.json").read_text())
    assert (described["repeat"], described["fold"], described["seed"]) == (2, 3, 0)


@pytest.fixture(scope="module")
def evaluated(prepared_template, tmp_path_factory):
    """Two experiments on two partitions, a placebo, an ensemble with a member on one, and everything from them."""
    import shutil

    folder = tmp_path_factory.mktemp("repeats") / "workspace"
    shutil.copytree(prepared_template, folder)
    both = {"repeats": [0, 1]}
    experiments = {
        "image": both, "concat": {"fusion": "concat", **both}, "film": {"fusion": "film"},
        "placebo": {"fusion": "concat", "records": "permuted", **both},
    }  # fmt: skip
    params = small_params(
        split={"repeats": 2}, train={"folds": [0, 1, 2, 3, 4], "epochs": 2}, experiments=experiments,
        ensembles={"two": {"members": ["concat", "film"], "method": "weighted"}},
    )  # fmt: skip
    loaded, workspace = load_params(write_params(folder, params)), Workspace(folder)
    split(loaded, workspace)
    for name in loaded.experiments:
        train(loaded, workspace, name)
        evaluate(loaded, workspace, name)
    ensemble(loaded, workspace, "two")
    return loaded, workspace


def test_predictions_hold_a_layer_for_each_partition(evaluated):
    params, workspace = evaluated
    results = Results(params, workspace)
    tested, validation = results.predictions("concat"), results.validation("concat")
    assert tested.layers == validation.layers == [(0, 0), (1, 0)]
    assert len(tested.image_ids) == 200
    inputs = Inputs(workspace, params.experiment("concat"), params.split)
    for layer, (repeat, _) in enumerate(tested.layers):
        for fold in range(5):
            ids = inputs.table["image_id"].iloc[inputs.rows(fold, "test", repeat)]
            assert set(tested.image_ids[tested.folds[layer] == fold]) == set(ids)
    written = pd.read_csv(workspace.results("concat") / "predictions.csv")
    assert written.equals(written.sort_values(["repeat", "seed", "fold", "image_id"], ignore_index=True))
    notes = results.notes("concat")
    assert notes["repeats"] == [0, 1]
    assert {"split", "split_1"} <= set(notes["data"])
    assert results.metrics("concat")["balanced_accuracy_partition_sd"] > 0
    assert results.system("film").repeats == [0]


def test_what_comes_after_reads_repeats(evaluated):
    params, workspace = evaluated
    for name in params.systems:
        assess(params, workspace, name)
    notes = Results(params, workspace).assessment_notes("concat")
    assert [(run["repeat"], run["fold"]) for run in notes["runs"]] == [
        (repeat, fold) for repeat in (0, 1) for fold in range(5)
    ]
    assert set(metadata(params, workspace)) == {"concat", "film", "placebo"}
    assert len(stats(params, workspace))
    weights = pd.read_csv(workspace.ensemble("two") / "weights.csv")
    assert weights["repeat"].tolist() == [0] * 5  # film was run on one partition
    assert Results(params, workspace).predictions("two").layers == [(0, 0)]
    best = Results(params, workspace).best
    assert best["image only"] == "image"
    assert best["multimodal"] in ("concat", "film")


def test_photographs_are_predicted_by_the_first_partitions_models(evaluated):
    from skinlesion.experiment.predictor import Predictor

    params, workspace = evaluated
    assess(params, workspace, "concat")
    predictor = Predictor.open(params, workspace, "concat")
    assert [model.run for model in predictor.runs] == [Run(fold, 0) for fold in range(5)]
    assert predictor.calibrated


def test_a_model_on_one_partition_is_compared_with_its_twin_on_that_one(evaluated):
    """film was run on repeat 0 alone; the gain over its twin is that of repeat 0."""
    params, workspace = evaluated
    figures = metadata(params, workspace)
    results = Results(params, workspace)
    single = [mean_balanced_accuracy(restrict_repeats(results.predictions(name), {0})) for name in ("film", "image")]
    assert figures["film"]["gain_over_image_only"] == pytest.approx(single[0] - single[1])
    both = [mean_balanced_accuracy(results.predictions(name)) for name in ("placebo", "image")]
    assert figures["placebo"]["gain_over_image_only"] == pytest.approx(both[0] - both[1])


def test_masked_predictions_without_repeats_are_of_repeat_0(evaluated):
    params, workspace = evaluated
    before = metadata(params, workspace)
    path = workspace.results("film") / "masked.csv"
    text = path.read_text()
    try:
        pd.read_csv(path, keep_default_na=False).drop(columns="repeat").to_csv(path, index=False)
        assert metadata(params, workspace)["film"] == before["film"]
    finally:
        path.write_text(text)


def test_runs_without_params_are_evaluated_with_the_repeats_they_have(repeated_folder, run):
    flags = [text for name, value in SMALL.items() for text in ("--set", f"{name}={value}")]
    folds = [text for fold in range(5) for text in ("--fold", str(fold))]
    trained = run("train", *flags, *folds, "--set", "repeats=[0, 1]", "--out", "runs/mine", cwd=repeated_folder)
    assert trained.code == 0, trained.err
    assert "repeat 1 fold 4 seed 0: trained" in trained.out
    assert run("evaluate", "--models", "runs/mine", cwd=repeated_folder).code == 0
    assert set(pd.read_csv(repeated_folder / "runs/mine/predictions.csv")["repeat"]) == {0, 1}
    rejected = run("train", *flags, *folds, "--set", "repeats=[3]", cwd=repeated_folder)
    assert rejected.code == 2
    assert "train.repeats: 3 is not drawn; split.repeats: 3 gives 0 to 2" in rejected.err


# Placebo


@pytest.mark.parametrize("protocol", ["lesion", "image"])
def test_a_placebo_shows_training_records_of_other_lesions_the_same_each_time(repeated_folder, protocol):
    inputs = opened(repeated_folder, repeats=3, protocol=protocol, fusion="concat", records="permuted")
    tables = {run: inputs.shown_table(run) for run in (Run(0, 0), Run(0, 1), Run(1, 0), Run(0, 0, 2))}
    for run, table in tables.items():
        reopened = opened(repeated_folder, repeats=3, protocol=protocol, fusion="concat", records="permuted")
        pd.testing.assert_frame_equal(table, reopened.shown_table(run))
        others = [name for name in table.columns if name not in RECORD]
        pd.testing.assert_frame_equal(table[others], inputs.table[others])
        trained = inputs.table.iloc[inputs.rows(run.fold, "train", run.repeat)]
        training_records = set(trained[RECORD].fillna(-1).itertuples(index=False, name=None))
        assert set(table[RECORD].fillna(-1).itertuples(index=False, name=None)) <= training_records
        by_lesion = table.assign(lesion=inputs.lesions).fillna(-1).groupby("lesion")[RECORD].nunique()
        assert (by_lesion == 1).all().all()
    for following, preceding in zip(list(tables)[1:], list(tables), strict=False):
        assert not tables[following][RECORD].equals(tables[preceding][RECORD])


def test_training_lesions_of_a_placebo_keep_the_distribution_of_records(workspace_folder):
    inputs = opened(workspace_folder, fusion="concat", records="permuted")
    rows = inputs.rows(0, "train")
    first = rows[np.unique(inputs.lesions[rows], return_index=True)[1]]
    before, after = (table.iloc[first][RECORD].fillna(-1) for table in (inputs.table, inputs.shown_table(Run(0, 0))))
    assert sorted(before.itertuples(index=False, name=None)) == sorted(after.itertuples(index=False, name=None))
    assert not before.equals(after)


def test_a_placebo_does_not_depend_on_diagnoses(workspace_folder):
    """Nor at the records of whatever is not trained on."""
    before = opened(workspace_folder, fusion="concat", records="permuted")
    exchanged = before.shown_table(Run(0, 0))
    path = workspace_folder / "data/prepared/metadata.csv"
    table = pd.read_csv(path, keep_default_na=False)
    table["dx"] = table["dx"].to_numpy()[::-1]
    not_trained = np.concatenate([before.rows(0, "test"), before.rows(0, "validation")])
    table.loc[not_trained, ["age", "sex"]] = ["1.0", "unknown"]
    table.to_csv(path, index=False)
    after = opened(workspace_folder, fusion="concat", records="permuted").shown_table(Run(0, 0))
    pd.testing.assert_frame_equal(after[RECORD], exchanged[RECORD])


def test_own_records_are_the_table_itself(workspace_folder):
    inputs = opened(workspace_folder, fusion="concat")
    assert inputs.shown_table(Run(0, 0)) is inputs.table


def test_a_placebo_is_evaluated_on_the_records_it_was_trained_with(evaluated):
    """Predictions by hand from the exchanged records are those that are written, and own records give others."""
    params, workspace = evaluated
    inputs = Inputs(workspace, params.experiment("placebo"), params.split)
    run = Run(2, 0, 1)
    model = TrainedRun.open(inputs, workspace.model("placebo"), run)
    rows = inputs.rows(2, "test", 1)
    written = pd.read_csv(workspace.results("placebo") / "predictions.csv")
    written = written[(written["fold"] == 2) & (written["repeat"] == 1)].set_index("image_id")
    columns = [name for name in written.columns if name.startswith("p_")]
    expected = written.loc[inputs.table["image_id"].iloc[rows], columns].to_numpy()
    tables = (inputs.shown_table(run), inputs.table)
    permuted, original = (model.of_rows(rows, records=[model.encode(table.iloc[rows])])[0] for table in tables)
    np.testing.assert_allclose(expected, permuted, atol=1e-6)
    assert np.abs(expected - original).max() > 1e-3
    validated = pd.read_csv(workspace.results("placebo") / "validation.csv")
    assert validated["repeat"].nunique() == 2
    masked = pd.read_csv(workspace.results("placebo") / "masked.csv")
    assert set(masked["repeat"]) == {0, 1}


def test_external_lesions_of_a_placebo_get_training_records(workspace_folder, tmp_path):
    import shutil

    inputs = opened(workspace_folder, fusion="concat", records="permuted")
    shutil.copytree(workspace_folder, tmp_path / "other")
    path = tmp_path / "other/data/prepared/metadata.csv"
    table = pd.read_csv(path, keep_default_na=False).assign(age="3.0")
    table.to_csv(path, index=False)
    other = opened(tmp_path / "other", fusion="concat", records="permuted")
    exchanged = inputs.shown_table(Run(0, 0), other)
    assert exchanged["image_id"].equals(other.table["image_id"])
    assert 3.0 not in set(exchanged["age"])
    pd.testing.assert_frame_equal(exchanged, inputs.shown_table(Run(0, 0), other))


# Injection


@pytest.mark.parametrize("repeat", [0, 2])
@pytest.mark.parametrize("fold", [0, 3])
def test_injection_keeps_sizes_classes_and_validation_and_adds_the_leak_alone(repeated_folder, fold, repeat):
    plain = opened(repeated_folder, repeats=3)
    parts = {role: plain.rows(fold, role, repeat) for role in ("train", "validation", "test")}
    before: set[int] = set()
    for dose in range(4):
        inputs = opened(repeated_folder, repeats=3, injected=dose)
        trained, validated, tested = (inputs.rows(fold, role, repeat) for role in ("train", "validation", "test"))
        assert len(trained) == len(parts["train"])
        counts = [np.bincount(inputs.labels[rows], minlength=7) for rows in (trained, parts["train"])]
        np.testing.assert_array_equal(*counts)
        assert len(set(inputs.lesions[trained])) == len(set(inputs.lesions[parts["train"]]))
        np.testing.assert_array_equal(validated, parts["validation"])
        lesions = [set(inputs.lesions[rows]) for rows in (trained, validated, tested)]
        assert not lesions[1] & (lesions[0] | lesions[2])
        assert len(lesions[2]) == len(tested)  # one image of each
        assert set(tested) <= set(parts["test"])
        assert not set(tested) & set(trained)
        leaked = set(trained) & set(parts["test"])
        assert set(inputs.lesions[sorted(leaked)]) <= lesions[2]
        held = np.bincount(inputs.lesions[trained], minlength=inputs.lesions.max() + 1)[inputs.lesions[tested]]
        sizes = np.bincount(inputs.lesions[parts["test"]], minlength=len(held))[inputs.lesions[tested]]
        np.testing.assert_array_equal(held, np.minimum(dose, sizes - 1))
        assert before <= leaked
        assert (dose == 0) == (not leaked)
        before = leaked


def test_every_dose_tests_the_same_images_and_predicts_those(workspace_folder):
    experiments = {f"dose{dose}": {"injected": dose, "select": "last", "epochs": 2, "folds": [0, 1]} for dose in (0, 2)}
    params = load_params(write_params(workspace_folder, small_params(experiments=experiments, claims=[])))
    workspace = Workspace(workspace_folder)
    tested = {}
    for name in experiments:
        train(params, workspace, name)
        evaluate(params, workspace, name)
        tested[name] = Results(params, workspace).predictions(name)
        described = json.loads((workspace.model(name) / "fold0-seed0/run.json").read_text())
        assert described["epochs"] == described["best_epoch"] == 2
    np.testing.assert_array_equal(tested["dose0"].image_ids, tested["dose2"].image_ids)
    np.testing.assert_array_equal(tested["dose0"].folds, tested["dose2"].folds)
    assert len(np.unique(tested["dose0"].lesions)) == len(tested["dose0"].image_ids)
    training = Results(params, workspace).system("dose2").description["training"]
    assert training == "frozen, up to 2 images of tested lesions injected"


# Equal effort


def test_a_run_picks_from_its_grid_by_its_own_validation_part(workspace_folder):
    """Against the candidates trained one by one: the best of them, byte for byte, and the others' values."""
    workspace = Workspace(workspace_folder)

    def trained(name, **settings):
        out = workspace_folder / "runs" / name
        whole = SMALL | {"fusion": "concat", "folds": [0, 1], "monitor": "balanced_accuracy", "epochs": 3} | settings
        train_experiment(workspace, TrainParams(**whole), SplitParams(), out, name)
        return out

    grid = [(lr, decay) for lr in (1e-4, 3e-2) for decay in (0.0, 1.0)]
    single = {
        place: trained(f"single{number}", lr=place[0], weight_decay=place[1]) for number, place in enumerate(grid)
    }
    tuned = trained("tuned", tune={"lr": [1e-4, 3e-2], "weight_decay": [0.0, 1.0]})
    for fold in (0, 1):
        name = f"fold{fold}-seed0"
        described = json.loads((tuned / name / "run.json").read_text())["tuned"]
        values = {}
        for place in grid:
            values[place] = json.loads((single[place] / name / "run.json").read_text())["phases"][0]["best_value"]
        assert {(trial["lr"], trial["weight_decay"]): trial["value"] for trial in described["tried"]} == values
        best = max(values, key=lambda place: values[place])  # the first of equals
        assert (described["chosen"]["lr"], described["chosen"]["weight_decay"]) == best
        for file in ("weights.safetensors", "history.csv"):
            assert (tuned / name / file).read_bytes() == (single[best] / name / file).read_bytes()
        assert sorted(path.name for path in (tuned / name).iterdir()) == [
            "history.csv", "run.json", "timing.json", "weights.safetensors",
        ]  # fmt: skip


def test_without_a_grid_there_is_one_candidate():
    settings = TrainParams(lr=0.5)
    assert settings.candidates == [settings]
    tuned = TrainParams(tune={"weight_decay": [0.1, 0.2]}, lr=0.5)
    assert [(candidate.lr, candidate.weight_decay) for candidate in tuned.candidates] == [(0.5, 0.1), (0.5, 0.2)]


# Groups


def test_training_by_groups_of_age_and_sex_uses_the_records_of_its_own_part(workspace_folder):
    inputs = opened(workspace_folder, sampler="group_balanced")
    rows = inputs.rows(0, "train")
    groups = inputs.records(rows, None).groups.numpy()
    shown = inputs.table.iloc[rows].assign(sex=lambda table: table["sex"].fillna("unknown"), group=groups)
    assert shown.groupby("group")["sex"].nunique().eq(1).all()
    ages = shown.groupby("group")["age"]
    assert (ages.max() - ages.min()).dropna().max() < 30  # bands are 15 to 30 years wide, below 75
    assert ages.apply(lambda values: values.isna().nunique()).eq(1).all()
    out = workspace_folder / "runs/groups"
    settings = TrainParams(**SMALL, sampler="group_balanced")
    train_experiment(Workspace(workspace_folder), settings, SplitParams(), out, "groups")
    assert (out / "fold0-seed0/weights.safetensors").exists()
