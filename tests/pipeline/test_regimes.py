"""Frozen, two-stage and full training on a tiny phantom: what moves, what stays, what repeats, what resumes."""

import json
from functools import lru_cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from skinlesion.experiment.training_runs import train_experiment
from skinlesion.models.backbones import load_backbone
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.params import SplitParams, TrainParams
from skinlesion.results.workspace import Workspace
from skinlesion.training import fit as fit_module
from skinlesion.training.optimizer import make_optimizer
from tests.conftest import TINY

BASE = {
    "backbone": TINY, "weights": "none", "input_size": 32, "epochs": 2, "finetune_epochs": 2, "batch_size": 64,
    "finetune_batch_size": 64, "checkpoint_seconds": 0, "attention_width": 16, "attention_heads": 2,
}  # fmt: skip
FUSIONS = ["none", "concat", "film", "cross_attention", "metablock"]
REGIMES = ["frozen", "two_stage", "full"]
EVERYTHING = {
    "augment": {"preset": "dermoscopy", "artifacts": 0.5}, "sampler": "lesion", "loss": "focal",
    "ema_decay": 0.9, "clip_norm": 1.0, "schedule": "warm_restarts", "restart_epochs": 1, "layer_decay": 0.8,
    "optimizer": "adamw", "weight_decay": 0.01, "record_dropout": 0.1, "field_dropout": 0.1,
}  # fmt: skip


def run(folder, name="runs/x", **changes):
    settings = TrainParams(**BASE | changes)
    out = folder / name
    train_experiment(Workspace(folder), settings, SplitParams(), out, "x")
    return out / "fold0-seed0"


@lru_cache(maxsize=1)
def fresh_backbone():
    return {f"backbone.{k}": v.clone() for k, v in load_backbone(TINY, "none", 32).module.state_dict().items()}


@pytest.fixture(scope="module")
def folder(prepared_template, tmp_path_factory):
    import shutil

    copy = tmp_path_factory.mktemp("regimes") / "workspace"
    shutil.copytree(prepared_template, copy)
    return copy


@pytest.mark.parametrize("metadata", ["onehot", "ordinal", "embedding"])
@pytest.mark.parametrize("fusion", [*FUSIONS[1:], "metadata_only"])
@pytest.mark.parametrize("regime", REGIMES)
def test_every_regime_trains_every_fusion_with_every_encoder(folder, regime, fusion, metadata):
    if fusion == "metadata_only" and regime != "frozen":
        pytest.skip("no backbone to fine-tune")
    trained = run(folder, f"runs/{regime}-{fusion}-{metadata}", regime=regime, fusion=fusion, metadata=metadata)
    described = json.loads((trained / "run.json").read_text())
    expected = {"frozen": ["head"], "two_stage": ["head", "fine_tuning"], "full": ["fine_tuning"]}[regime]
    assert [phase["name"] for phase in described["phases"]] == expected
    state = load_file(trained / "weights.safetensors")
    assert all(torch.isfinite(value).all() for value in state.values())
    assert any(name.startswith("backbone.") for name in state) == (regime != "frozen")
    assert not list(trained.glob("checkpoint*"))


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("regime", REGIMES)
def test_one_seed_gives_the_same_bytes(folder, regime, fusion):
    changes = {"regime": regime, "fusion": fusion} | EVERYTHING
    if regime == "frozen":
        changes["views"] = 2
    first = run(folder, f"runs/a-{regime}-{fusion}", **changes)
    second = run(folder, f"runs/b-{regime}-{fusion}", **changes)
    for name in ("weights.safetensors", "history.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_frozen_stages_and_their_statistics_do_not_move(folder):
    trained = run(folder, "runs/last-two", regime="two_stage", trainable_stages=2, finetune_lr=1e-2, augment="flips")
    before, after = fresh_backbone(), load_file(trained / "weights.safetensors")
    last = {f"backbone.{name}" for name in load_backbone(TINY, "none", 32).last_stages(2)}
    stages = {name.split(".")[1] for name in last}
    for name, value in before.items():
        moved = not torch.equal(value, after[name])
        assert moved == (name.split(".")[1] in stages), name  # weights, running means and variances alike


def test_batch_statistics_stay_where_they_are_asked_to(folder):
    trained = run(folder, "runs/norms", regime="full", batch_norm="frozen", finetune_lr=1e-2)
    before, after = fresh_backbone(), load_file(trained / "weights.safetensors")
    assert all(torch.equal(after[name], value) for name, value in before.items() if "running" in name)
    assert any(not torch.equal(after[name], value) for name, value in before.items() if name.endswith("weight"))


def test_training_mode_reaches_trained_layers_only():
    settings = TrainParams(**BASE | {"regime": "full", "trainable_stages": 1})
    backbone = load_backbone(TINY, "none", 32)
    model = ImageClassifier(backbone, FeatureClassifier(settings, backbone.width, ()), settings).train()
    norms = {n: m.training for n, m in model.backbone.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert {name for name, training in norms.items() if training} == {n for n in norms if n.startswith("layer4")}
    assert model.head.training
    assert not any(module.training for module in model.eval().modules())


def test_the_first_stage_of_two_is_the_frozen_run(folder):
    """Fine-tuning starts from exactly the head that a frozen run ends with."""
    frozen = run(folder, "runs/stage-one", regime="frozen")
    both = run(folder, "runs/both", regime="two_stage", finetune_epochs=1, finetune_lr=1e-12, batch_norm="frozen")
    head, tuned = load_file(frozen / "weights.safetensors"), load_file(both / "weights.safetensors")
    for name, value in head.items():
        torch.testing.assert_close(tuned[name], value, atol=1e-9, rtol=0)


class StopHere(Exception):
    pass


@pytest.mark.parametrize("stop", [("head", 1), ("head", 2), ("fine_tuning", 1)])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_run_cut_off_in_either_phase_ends_in_the_same_bytes(folder, monkeypatch, stop, ema):
    changes = {"regime": "two_stage", "fusion": "concat"} | EVERYTHING | {"ema_decay": ema}
    whole = run(folder, f"runs/whole-{ema}", **changes)
    name = f"runs/cut-{stop[0]}-{stop[1]}-{ema}"
    inner = fit_module._Loop.run_epoch

    def stop_at(self, state):
        if (self.phase.name, state.epoch) == stop:
            raise StopHere
        inner(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(fit_module._Loop, "run_epoch", stop_at)
        if stop == ("head", 2):  # between the phases: the head is done, fine-tuning has not begun
            patch.setattr(ImageClassifier, "__init__", lambda *_: (_ for _ in ()).throw(StopHere))
        with pytest.raises(StopHere):
            run(folder, name, **changes)
    assert list((folder / name).rglob("checkpoint-*.safetensors"))
    assert not list((folder / name).rglob("run.json"))
    epochs = []

    def counted(self, state):
        epochs.append((self.phase.name, state.epoch + 1))
        inner(self, state)

    monkeypatch.setattr(fit_module._Loop, "run_epoch", counted)
    resumed = run(folder, name, **changes)
    assert len(epochs) == 4 - stop[1] - (2 if stop[0] == "fine_tuning" else 0)  # nothing is done twice
    for file in ("weights.safetensors", "history.csv"):
        assert (resumed / file).read_bytes() == (whole / file).read_bytes()


@pytest.mark.parametrize("fusion", [*FUSIONS, "metadata_only"])
def test_thirty_two_images_can_be_overfitted(fusion):
    """Every fusion has the capacity to overfit; metadata alone is given records that differ."""
    from skinlesion.data.augment import NO_CHANGE  # noqa: F401 (pixels come plain)
    from skinlesion.models.losses import make_loss
    from skinlesion.models.metadata_encoders import fit_encoder
    from skinlesion.training.examples import FeatureExamples, PixelExamples, PixelStore, Records
    from skinlesion.training.fit import fit, initial_random
    from skinlesion.training.phases import phases_of
    from skinlesion.training.validate import logits_of

    rng = np.random.default_rng(0)
    import pandas as pd

    table = pd.DataFrame(
        {
            "age": np.arange(32) * 2.5,
            "sex": rng.choice(["male", "female"], 32),
            "localization": rng.choice(["back", "face", "hand", "foot"], 32),
        }
    )
    encoder = fit_encoder("onehot", table)
    pixels = rng.integers(0, 255, (32, 32, 32, 3), dtype=np.uint8)
    labels = torch.from_numpy(rng.permutation(np.arange(32) % 7))
    records = Records(
        labels, torch.arange(32), torch.arange(32), torch.from_numpy(encoder.encode(table)), encoder.fields
    )
    only = fusion == "metadata_only"
    settings = TrainParams(
        **BASE | {
            "fusion": fusion, "regime": "frozen" if only else "full", "class_weights": "none", "dropout": 0.0,
            "lr": 3e-2, "finetune_lr": 3e-3, "epochs": 400, "finetune_epochs": 60, "patience": 400,
            "finetune_patience": 60, "batch_size": 32, "finetune_batch_size": 16, "metadata_hidden": [64, 64],
            "checkpoint_seconds": 1e9,
        }
    )  # fmt: skip
    backbone = load_backbone(TINY, "none", 32)
    examples = (
        FeatureExamples([], records)
        if only
        else PixelExamples(PixelStore(pixels, torch.device("cpu")), np.arange(32), backbone, records)
    )
    with initial_random((0, 0), 0):
        head = FeatureClassifier(settings, 0 if only else backbone.width, encoder.fields if fusion != "none" else ())
    model = head if only else ImageClassifier(backbone, head, settings)
    phase = phases_of(settings)[0]
    loss = make_loss(settings, torch.bincount(labels, minlength=7))
    from pathlib import Path

    fit(model, phase, examples, examples, loss, settings, seed=(0, 0), checkpoint=Path("never"), fingerprint="f")
    assert (logits_of(model, examples, pixels=not only).argmax(1) == labels).all()


def test_weight_decay_skips_norms_and_biases_and_rates_fall_towards_the_stem():
    settings = TrainParams(**BASE | {"regime": "full", "weight_decay": 0.1, "layer_decay": 0.5, "optimizer": "adamw"})
    backbone = load_backbone(TINY, "none", 32)
    model = ImageClassifier(backbone, FeatureClassifier(settings, backbone.width, ()), settings)
    optimizer = make_optimizer(model, settings, 1.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rate = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            rate[name] = group["lr"]
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name
    assert set(rate) == {name for name, _ in model.named_parameters()}
    assert rate["head.logits.weight"] == 1.0
    assert rate["backbone.layer4.0.conv1.weight"] == 0.5
    assert rate["backbone.layer3.0.conv1.weight"] == 0.25
    assert rate["backbone.conv1.0.weight"] == min(rate.values()) == 0.5**5


def test_the_average_is_the_formula():
    from skinlesion.training.averaging import MovingAverage

    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = MovingAverage(model, 0.9)
    expected = 0.0
    for step in range(1, 60):
        torch.nn.init.constant_(model.weight, step)
        average.update(model)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.state["weight"]) == pytest.approx(expected, rel=1e-5)


def test_views_are_all_shown(folder):
    from skinlesion.training.examples import FeatureExamples, Records

    views = [torch.full((500, 1), float(view)) for view in range(3)]
    labels = torch.zeros(500, dtype=torch.int64)
    examples = FeatureExamples(views, Records(labels, labels, labels))
    generator = torch.Generator().manual_seed(0)
    batch = next(examples.batches([torch.arange(500)], generator))
    assert (torch.bincount(batch.image.flatten().long()) / 500).tolist() == pytest.approx([1 / 3] * 3, abs=0.09)
    plain = next(examples.batches([torch.arange(500)]))
    assert (plain.image == 0).all()
