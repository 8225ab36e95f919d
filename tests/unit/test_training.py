"""The cache, the loop and its checkpoints: what is skipped, resumed and refused."""

import json

import numpy as np
import pytest
import torch

from skinlesion.errors import UserError
from skinlesion.models.classifier import FeatureClassifier
from skinlesion.params import TrainParams
from skinlesion.training import features as features_module
from skinlesion.training.checkpoint import load_checkpoint
from skinlesion.training.features import FeatureRequest, cached_features
from skinlesion.training.fit import Examples, fit
from tests.conftest import TINY

REQUEST = FeatureRequest(TINY, "none", 32, "fp32", "cpu")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), dtype=np.uint8)


def counting_forward(monkeypatch, die_after=None):
    calls = []
    whole = features_module.forward

    def forward(*args):
        if die_after is not None and len(calls) == die_after:
            raise KeyboardInterrupt
        calls.append(len(args[1]))
        return whole(*args)

    monkeypatch.setattr(features_module, "forward", forward)
    return calls


def test_features_are_computed_once(images, tmp_path, monkeypatch):
    calls = counting_forward(monkeypatch)
    first = cached_features(images, "a", REQUEST, tmp_path)
    assert sum(calls) == 40
    again = cached_features(images, "a", REQUEST, tmp_path)
    assert sum(calls) == 40
    np.testing.assert_array_equal(first.array, again.array)


def test_the_key_follows_images_weights_and_preprocessing(images, tmp_path):
    keys = {cached_features(images, "a", REQUEST, tmp_path).key}
    keys.add(cached_features(images, "b", REQUEST, tmp_path).key)
    keys.add(cached_features(images, "a", FeatureRequest(TINY, "none", 48, "fp32", "cpu"), tmp_path).key)
    keys.add(cached_features(images, "a", FeatureRequest("test_convnext", "none", 32, "fp32", "cpu"), tmp_path).key)
    assert len(keys) == 4


def test_an_extraction_that_was_cut_off_goes_on(images, tmp_path, monkeypatch):
    expected = np.array(cached_features(images, "a", REQUEST, tmp_path / "whole").array)
    monkeypatch.setitem(features_module._BATCH, "cpu", 8)
    monkeypatch.setattr(features_module, "_FLUSH_EVERY", 16)
    with monkeypatch.context() as patch:
        counting_forward(patch, die_after=3)
        with pytest.raises(KeyboardInterrupt):
            cached_features(images, "a", REQUEST, tmp_path / "cut")
    calls = counting_forward(monkeypatch)
    resumed = cached_features(images, "a", REQUEST, tmp_path / "cut")
    assert sum(calls) == 24  # the first two batches were kept
    np.testing.assert_allclose(resumed.array, expected, atol=1e-5)
    assert not list((tmp_path / "cut").glob("*.partial"))


def blobs(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 7)
    image = rng.normal(size=(count, 12)) + 2 * np.eye(12)[labels]
    return Examples(torch.from_numpy(image).float(), None, torch.from_numpy(labels))


SETTINGS = TrainParams(epochs=8, batch_size=16, checkpoint_seconds=0, patience=8)


def run_fit(tmp_path, settings=SETTINGS, fingerprint="f", seed=(0, 0), name="c.safetensors"):
    return fit(
        lambda: FeatureClassifier(settings, 12, 0),
        blobs(70, 0),
        blobs(35, 1),
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
    kept = load_checkpoint(tmp_path / "cut.safetensors", "f", torch.device("cpu"))
    assert kept is not None
    assert kept.epoch == epoch
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
    model = FeatureClassifier(settings, 12, 0).eval()
    model.load_state_dict(fitted.state)
    validation = blobs(35, 1)
    loss = torch.nn.functional.cross_entropy(model(validation.image, None), validation.labels)  # classes are balanced
    assert loss.item() == pytest.approx(min(losses), rel=1e-5)


def test_a_loss_that_is_never_a_number_is_the_users_to_mend(tmp_path):
    broken = blobs(70, 0)
    broken.image[:] = float("nan")
    with pytest.raises(UserError, match=r"train\.lr"):
        fit(
            lambda: FeatureClassifier(SETTINGS, 12, 0),
            broken,
            blobs(35, 1),
            SETTINGS,
            seed=(0, 0),
            checkpoint=tmp_path / "c",
            fingerprint="f",
        )


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
