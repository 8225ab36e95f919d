"""The cache, the loop and its checkpoints: what is skipped, resumed and refused."""

import json

import numpy as np
import pytest
import torch

from skinlesion.data.augment import PRESETS
from skinlesion.errors import UserError
from skinlesion.models.backbones import load_backbone
from skinlesion.models.classifier import FeatureClassifier
from skinlesion.models.losses import make_loss
from skinlesion.params import TrainParams
from skinlesion.training import features as features_module
from skinlesion.training.checkpoint import load_checkpoint
from skinlesion.training.examples import FeatureExamples, Records
from skinlesion.training.features import FeatureRequest, View, cached_features
from skinlesion.training.fit import fit, initial_random
from skinlesion.training.phases import phases_of
from skinlesion.training.runs import Run, fingerprint, prune, run_folder, runs_of
from tests.conftest import TINY

REQUEST = FeatureRequest("fp32", "cpu")


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(TINY, "none", 32)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), dtype=np.uint8)


def counting_forward(monkeypatch, interrupt_after=None):
    calls = []
    original = features_module.forward

    def forward(*args):
        if interrupt_after is not None and len(calls) == interrupt_after:
            raise KeyboardInterrupt
        calls.append(len(args[1]))
        return original(*args)

    monkeypatch.setattr(features_module, "forward", forward)
    return calls


def test_features_are_computed_once(images, backbone, tmp_path, monkeypatch):
    calls = counting_forward(monkeypatch)
    first = cached_features(images, "a", backbone, REQUEST, tmp_path)
    assert sum(calls) == 41  # one image more, for the shape
    second = cached_features(images, "a", backbone, REQUEST, tmp_path)
    assert sum(calls) == 41
    np.testing.assert_array_equal(first.array, second.array)


def test_the_key_follows_images_weights_and_preprocessing(images, backbone, tmp_path):
    larger, other = load_backbone(TINY, "none", 48), load_backbone("test_convnext", "none", 32)
    augmented = FeatureRequest("fp32", "cpu", view=View("augmented", 0, PRESETS["flips"]))
    keys = [
        cached_features(images, "a", backbone, REQUEST, tmp_path).key,
        cached_features(images, "b", backbone, REQUEST, tmp_path).key,
        cached_features(images, "a", larger, REQUEST, tmp_path).key,
        cached_features(images, "a", other, REQUEST, tmp_path).key,
        cached_features(images, "a", backbone, FeatureRequest("fp32", "cpu", "map"), tmp_path).key,
        cached_features(images, "a", backbone, FeatureRequest("fp32", "cpu", "map", 1), tmp_path).key,
        cached_features(images, "a", backbone, FeatureRequest("fp32", "cpu", view=View("test", 3)), tmp_path).key,
        cached_features(images, "a", backbone, augmented, tmp_path).key,
    ]
    assert len(set(keys)) == len(keys)


def test_a_view_is_the_features_of_the_changed_images(images, backbone, tmp_path):
    expected = cached_features(np.rot90(images, 1, axes=(1, 2)).copy(), "turned", backbone, REQUEST, tmp_path)
    with_view = cached_features(images, "a", backbone, FeatureRequest("fp32", "cpu", view=View("test", 1)), tmp_path)
    np.testing.assert_allclose(with_view.array, expected.array, atol=1e-5)


def test_augmented_views_differ_and_are_drawn_the_same_again(images, backbone, tmp_path):
    requests = [FeatureRequest("fp32", "cpu", view=View("augmented", k, PRESETS["dermoscopy"])) for k in (0, 1)]
    first, second = (cached_features(images, "a", backbone, request, tmp_path / "x").array for request in requests)
    redrawn = cached_features(images, "a", backbone, requests[0], tmp_path / "y").array
    np.testing.assert_array_equal(first, redrawn)
    assert np.abs(first - second).max() > 1e-3


def test_an_extraction_that_was_cut_off_goes_on(images, backbone, tmp_path, monkeypatch):
    expected = np.array(cached_features(images, "a", backbone, REQUEST, tmp_path / "whole").array)
    monkeypatch.setitem(features_module.FEATURES, "cpu", 8)
    monkeypatch.setattr(features_module, "_FLUSH_EVERY", 16)
    with monkeypatch.context() as patch:
        counting_forward(patch, interrupt_after=4)
        with pytest.raises(KeyboardInterrupt):
            cached_features(images, "a", backbone, REQUEST, tmp_path / "cut")
    calls = counting_forward(monkeypatch)
    resumed = cached_features(images, "a", backbone, REQUEST, tmp_path / "cut")
    assert sum(calls) == 25  # the first two batches were kept; one image for the shape
    np.testing.assert_allclose(resumed.array, expected, atol=1e-5)
    assert not list((tmp_path / "cut").glob("*.partial"))


def blobs(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 7)
    image = rng.normal(size=(count, 12)) + 2 * np.eye(12)[labels]
    records = Records(torch.from_numpy(labels), torch.arange(count), torch.arange(count) % 3)
    return FeatureExamples([torch.from_numpy(image).float()], records)


SETTINGS = TrainParams(epochs=8, batch_size=16, checkpoint_seconds=0, patience=8)


def run_fit(tmp_path, settings=SETTINGS, fingerprint="f", seed=(0, 0), name="c.safetensors", train=None):
    with initial_random(seed, 0):
        model = FeatureClassifier(settings, 12, ())
    loss = make_loss(settings, torch.full((7,), 10))
    return fit(
        model,
        phases_of(settings)[0],
        train or blobs(70, 0),
        blobs(35, 1),
        loss,
        settings,
        seed=seed,
        checkpoint=tmp_path / name,
        fingerprint=fingerprint,
    )


def same(a, b):
    return all(torch.equal(a.state[name], b.state[name]) for name in a.state) and a.history == b.history


def test_one_seed_gives_the_same_bits_whatever_ran_before(tmp_path):
    first = run_fit(tmp_path, name="a.safetensors")
    torch.manual_seed(99)
    torch.randn(5)
    assert same(first, run_fit(tmp_path, name="b.safetensors"))
    assert not same(first, run_fit(tmp_path, seed=(1, 0), name="c.safetensors"))
    assert not same(first, run_fit(tmp_path, seed=(0, 1), name="d.safetensors"))


@pytest.mark.parametrize("epoch", [1, 3, 7])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path, epoch):
    whole = run_fit(tmp_path, name="whole.safetensors")
    short = SETTINGS.model_copy(update={"epochs": epoch})
    run_fit(tmp_path, short, name="cut.safetensors")  # leaves the checkpoint of its last epoch
    checkpoint = load_checkpoint(tmp_path / "cut.safetensors", "f", torch.device("cpu"))
    assert checkpoint is not None
    assert checkpoint.epoch == epoch
    assert same(whole, run_fit(tmp_path, name="cut.safetensors"))


def test_a_checkpoint_of_another_fingerprint_or_a_broken_one_is_not_used(tmp_path):
    run_fit(tmp_path, fingerprint="old")
    assert load_checkpoint(tmp_path / "c.safetensors", "new", torch.device("cpu")) is None
    (tmp_path / "c.safetensors").write_bytes(b"\x00" * 30)
    assert load_checkpoint(tmp_path / "c.safetensors", "old", torch.device("cpu")) is None


def test_the_best_epoch_is_restored_and_patience_ends_training(tmp_path):
    settings = SETTINGS.model_copy(update={"epochs": 200, "patience": 3, "lr": 0.3})
    fitted = run_fit(tmp_path, settings)
    losses = [row["validation_loss"] for row in fitted.history]
    assert fitted.best_epoch == int(np.argmin(losses)) + 1
    assert len(losses) == fitted.best_epoch + 3 < 200
    model = FeatureClassifier(settings, 12, ()).eval()
    model.load_state_dict(fitted.state)
    validation = blobs(35, 1)
    logits = model(validation.views[0], None)
    loss = torch.nn.functional.cross_entropy(logits, validation.records.labels)  # classes are balanced
    assert loss.item() == pytest.approx(min(losses), rel=1e-5)


def test_the_last_epochs_weights_are_those_of_all_epochs_trained(tmp_path):
    """Against the run that stops early: the same course up to there, and no stop."""
    settings = SETTINGS.model_copy(update={"epochs": 12, "patience": 1, "lr": 0.3})
    stopped = run_fit(tmp_path, settings, name="best.safetensors")
    last = run_fit(tmp_path, settings.model_copy(update={"select": "last"}), name="last.safetensors")
    assert len(stopped.history) < 12 == len(last.history) == last.best_epoch
    assert last.history[: len(stopped.history)] == stopped.history
    assert last.best_value == last.history[-1]["validation_loss"]
    model = FeatureClassifier(settings, 12, ()).eval()
    model.load_state_dict(last.state)
    validation = blobs(35, 1)
    loss = torch.nn.functional.cross_entropy(model(validation.views[0], None), validation.records.labels)
    assert loss.item() == pytest.approx(last.best_value, rel=1e-5)


def test_a_phase_keeps_the_weights_that_its_own_select_says():
    settings = TrainParams(regime="two_stage", select="best", finetune_select="last")
    assert [phase.select for phase in phases_of(settings)] == ["best", "last"]
    assert [phase.select for phase in phases_of(TrainParams(regime="two_stage", select="last"))] == ["last", "last"]


def test_a_loss_is_divided_by_weights_or_by_images(tmp_path):
    settings = TrainParams(epochs=1, batch_size=70, dropout=0.0, checkpoint_seconds=0)
    counts = torch.tensor([40, 5, 5, 5, 5, 5, 5])
    train = blobs(70, 0)
    for divisor in ("weights", "images"):
        chosen = settings.model_copy(update={"loss_divisor": divisor})
        with initial_random((0, 0), 0):
            model, by_hand = FeatureClassifier(chosen, 12, ()), FeatureClassifier(chosen, 12, ())
        by_hand.load_state_dict(model.state_dict())
        weights = counts.sum() / (7 * counts.float())
        image_weights = weights[train.records.labels]
        log_p = by_hand(train.views[0], None).log_softmax(1).gather(1, train.records.labels[:, None])[:, 0]
        expected = -(image_weights * log_p).sum() / (image_weights.sum() if divisor == "weights" else 70)
        fitted = fit(
            model, phases_of(chosen)[0], train, blobs(35, 1), make_loss(chosen, counts), chosen, seed=(0, 0),
            checkpoint=tmp_path / f"{divisor}.safetensors", fingerprint=divisor,
        )  # fmt: skip
        assert fitted.history[0]["train_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_run_of_last_epochs_that_was_cut_off_ends_in_the_same_bits(tmp_path):
    settings = SETTINGS.model_copy(update={"select": "last"})
    whole = run_fit(tmp_path, settings, name="whole.safetensors")
    run_fit(tmp_path, settings.model_copy(update={"epochs": 3}), name="cut.safetensors")
    assert same(whole, run_fit(tmp_path, settings, name="cut.safetensors"))


def test_a_repeat_draws_other_numbers_and_repeat_0_what_it_always_drew(tmp_path):
    assert Run(2, 5).random_seed == (5, 2)
    assert Run(2, 5, 1).random_seed == (5, 2, 1)
    first = run_fit(tmp_path, seed=Run(0, 0).random_seed, name="a.safetensors")
    assert same(first, run_fit(tmp_path, seed=(0, 0), name="b.safetensors"))
    assert not same(first, run_fit(tmp_path, seed=Run(0, 0, 1).random_seed, name="c.safetensors"))


def test_runs_have_folders_by_repeat_and_those_not_asked_for_are_removed(tmp_path):
    settings = TrainParams(folds=[0, 1, 2, 3, 4], seeds=[0, 3], repeats=[0, 2])
    runs = runs_of(settings)
    assert len(runs) == len(set(runs)) == 20
    assert runs[:3] == [Run(0, 0, 0), Run(0, 3, 0), Run(1, 0, 0)]
    assert run_folder(tmp_path, Run(1, 3)).name == "fold1-seed3"
    assert run_folder(tmp_path, Run(1, 3, 2)).name == "repeat2-fold1-seed3"
    assert str(Run(1, 3, 2)) == "repeat 2 fold 1 seed 3"
    for run in runs:
        run_folder(tmp_path, run).mkdir()
    for other in ("repeat1-fold0-seed0", "fold0-seed9", "notes", "my-fold0-seed0"):
        (tmp_path / other).mkdir()
    prune(tmp_path, [run_folder(tmp_path, run) for run in runs])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*(run.folder_name for run in runs), "notes", "my-fold0-seed0"]
    )


def test_a_fingerprint_is_of_one_run_and_not_of_the_list_of_runs():
    default, many_runs = TrainParams(), TrainParams(folds=[0, 1, 2, 3, 4], seeds=[0, 1], repeats=[0, 1])
    assert fingerprint(default, Run(0, 0), {}) == fingerprint(many_runs, Run(0, 0), {})
    prints = {fingerprint(default, run, {}) for run in runs_of(many_runs)}
    assert len(prints) == 20
    for field, value in (("select", "last"), ("injected", 0)):
        assert fingerprint(TrainParams(**{field: value}), Run(0, 0), {}) != fingerprint(default, Run(0, 0), {})


def test_a_loss_that_is_always_nan_is_a_user_error(tmp_path):
    broken = blobs(70, 0)
    broken.views[0][:] = float("nan")
    with pytest.raises(UserError, match=r"train\.lr"):
        run_fit(tmp_path, train=broken)


class MixedRecords(Records):
    def targets(self, rows):
        """The label with 0.6, the next class with 0.4: what MixUp makes of two images."""
        return 0.6 * super().targets(rows) + 0.4 * super().targets(rows).roll(1, dims=1)


@pytest.mark.parametrize("kind", [Records, MixedRecords])
@pytest.mark.parametrize("wrong", [0, 7])
def test_training_accuracy_is_the_share_of_training_images_answered_right(tmp_path, kind, wrong):
    labels = torch.arange(70) % 7
    predicted = torch.cat([(labels[:wrong] + 1) % 7, labels[wrong:]])
    train = FeatureExamples([torch.eye(7)[predicted]], kind(labels, torch.arange(70), torch.arange(70)))
    model = torch.nn.Linear(7, 7, bias=False)  # answers what its input says; the rate is too low to change that
    model.forward = lambda image, metadata: torch.nn.functional.linear(image, model.weight)
    torch.nn.init.eye_(model.weight)
    settings = SETTINGS.model_copy(update={"lr": 1e-9, "epochs": 2})
    loss = make_loss(settings, torch.full((7,), 10))
    fitted = fit(
        model,
        phases_of(settings)[0],
        train,
        train,
        loss,
        settings,
        seed=(0,),
        checkpoint=tmp_path / "c",
        fingerprint="f",
    )
    assert [row["train_accuracy"] for row in fitted.history] == [1 - wrong / 70] * 2


@pytest.mark.parametrize("monitor", ["loss", "nll", "balanced_accuracy", "macro_f1", "macro_auc", "accuracy"])
def test_any_validation_value_can_pick_the_weights(tmp_path, monitor):
    fitted = run_fit(tmp_path, SETTINGS.model_copy(update={"monitor": monitor, "lr": 0.05}))
    values = [row[f"validation_{monitor}"] for row in fitted.history]
    best = min(values) if monitor in ("loss", "nll") else max(values)
    assert fitted.best_value == best
    assert fitted.best_epoch == values.index(best) + 1


def test_monitored_values_are_scikit_learns():
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

    from skinlesion.training.validate import validation_values

    examples = blobs(70, 0)
    logits = torch.randn(70, 7, generator=torch.Generator().manual_seed(0))
    truth, answers = examples.records.labels.numpy(), logits.argmax(1).numpy()
    expected = {
        "accuracy": accuracy_score(truth, answers),
        "balanced_accuracy": balanced_accuracy_score(truth, answers),
        "macro_f1": f1_score(truth, answers, average="macro"),
        "macro_auc": roc_auc_score(truth, logits.softmax(1).numpy(), multi_class="ovr"),
    }
    loss = make_loss(SETTINGS, torch.full((7,), 10))
    for name, value in expected.items():
        assert validation_values(logits, examples, loss, name)[name] == pytest.approx(value, rel=1e-6)


def test_train_skips_complete_runs_and_redoes_changed_ones(workspace_folder, run):
    def weights():
        return {path.parent.name: path.stat().st_mtime_ns for path in (workspace_folder / "models").rglob("weights.*")}

    assert "trained" in run("train", "--experiment", "concat", cwd=workspace_folder).out
    before = weights()
    assert "already complete" in run("train", "--experiment", "concat", cwd=workspace_folder).out
    assert weights() == before
    text = (workspace_folder / "params.yaml").read_text()
    (workspace_folder / "params.yaml").write_text(
        text.replace("fusion: concat", "{fusion: concat, lr: 0.01}", 1).replace("concat:\n    {", "concat: {")
    )
    assert "trained" in run("train", "--experiment", "concat", cwd=workspace_folder).out
    assert weights() != before
    config = json.loads((workspace_folder / "models/concat/fold0-seed0/run.json").read_text())
    assert config["config"]["lr"] == 0.01


def test_test_parts_cannot_reach_training(workspace_folder, run):
    """Scrambling images' labels, ages and pixels of the test part changes no trained byte."""
    import pandas as pd

    from skinlesion.data.splits import roles

    run("train", "--experiment", "concat", cwd=workspace_folder)
    path = workspace_folder / "models/concat/fold0-seed0/weights.safetensors"
    before = path.read_bytes()
    split = pd.read_csv(workspace_folder / "data/splits/lesion.csv")
    test = roles(split["part"].to_numpy(), 0) == "test"
    table = pd.read_csv(workspace_folder / "data/prepared/metadata.csv", keep_default_na=False)
    table = table.set_index("image_id").loc[split["image_id"]].reset_index()
    table.loc[test, "age"] = "85.0"
    table.loc[test, "sex"] = "unknown"
    table.to_csv(workspace_folder / "data/prepared/metadata.csv", index=False)
    images = np.lib.format.open_memmap(workspace_folder / "data/prepared/images.npy", mode="r+")
    images[np.flatnonzero(test)] = 255 - images[np.flatnonzero(test)]
    images.flush()
    described = json.loads((workspace_folder / "data/prepared/prepared.json").read_text())
    described["images_sha256"] = "changed"
    (workspace_folder / "data/prepared/prepared.json").write_text(json.dumps(described))
    assert "trained" in run("train", "--experiment", "concat", cwd=workspace_folder).out
    assert path.read_bytes() == before
