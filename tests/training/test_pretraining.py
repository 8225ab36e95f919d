"""Pretraining: weights that load and repeat, and images that are never read."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from skinlesion.data.splits import roles
from skinlesion.errors import UserError
from skinlesion.models.backbones import load_backbone
from skinlesion.training.examples import PixelStore
from skinlesion.training.pretraining import PretrainSettings, pretrain_backbone
from tests.conftest import TINY

pytest.importorskip("lightly", reason="the extra `pretrain` is not installed")

SETTINGS = PretrainSettings(epochs=3, lr=1e-3, batch_size=16, temperature=0.2, seed=0)


def images(count=40):
    """Images (N, 32, 32, 3) uint8, each of a colour and a gradient of its own."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 200, (count, 1, 1, 3)) + np.linspace(0, 50, 32)[:, None, None] * rng.random(
        (count, 1, 1, 3)
    )
    return (colours + rng.normal(0, 2, (count, 32, 32, 3))).clip(0, 255).astype(np.uint8)


def pretrained(pixels, rows, folder, settings=SETTINGS, **others):
    backbone = load_backbone(TINY, "none", 32)
    store = PixelStore(pixels, torch.device("cpu"))
    return pretrain_backbone(
        backbone, store, rows, settings, precision="fp32", seed=(settings.seed, 0, 0),
        checkpoint=folder / "c.safetensors", fingerprint="f", **others,
    )  # fmt: skip


def equal(first, second):
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_the_loss_falls_and_the_backbone_given_is_left_alone(tmp_path):
    backbone = load_backbone(TINY, "none", 32)
    before = backbone.weights_sha256
    weights, history = pretrained(images(), np.arange(40), tmp_path, PretrainSettings(8, 3e-3, 20, 0.2, 0))
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[-1]["loss"] < history[0]["loss"]
    assert not equal(weights, backbone.module.state_dict())
    assert load_backbone(TINY, "none", 32).weights_sha256 == before


def test_only_the_rows_given_are_read(tmp_path):
    pixels, rows = images(), np.arange(0, 40, 2)
    clean, _ = pretrained(pixels, rows, tmp_path / "clean")
    others = pixels.copy()
    others[1::2] = 255 - others[1::2]
    assert equal(clean, pretrained(others, rows, tmp_path / "others")[0])
    others[0] = 255 - others[0]
    assert not equal(clean, pretrained(others, rows, tmp_path / "seen")[0])


def test_a_pretraining_that_was_cut_off_ends_in_the_same_weights(tmp_path):
    class Interrupted(Exception):
        pass

    def interrupt(row):
        if row["epoch"] == 2:
            raise Interrupted

    whole, history = pretrained(images(), np.arange(40), tmp_path / "whole")
    with pytest.raises(Interrupted):
        pretrained(images(), np.arange(40), tmp_path / "cut", report=interrupt)
    rows = []
    resumed, resumed_history = pretrained(images(), np.arange(40), tmp_path / "cut", report=rows.append)
    assert [row["epoch"] for row in rows] == [3]
    assert resumed_history == history
    assert equal(whole, resumed)


def test_an_image_alone_and_a_loss_that_is_no_number_are_refused(tmp_path):
    with pytest.raises(UserError, match="1 training images; two are needed"):
        pretrained(images(), np.arange(1), tmp_path)
    with pytest.raises(UserError, match="--lr 1e\\+30: the loss is not a number in epoch"):
        pretrained(images(), np.arange(40), tmp_path, PretrainSettings(3, 1e30, 16, 0.2, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "--epochs 0: give at least 1"),
        ({"batch_size": 1}, "--batch-size 1: give at least 2"),
        ({"lr": math.nan}, "--lr nan: give a number above 0"),
        ({"temperature": 0.0}, r"--temperature 0\.0: give a number above 0"),
    ],
)
def test_options_that_make_no_sense_are_named(change, message):
    with pytest.raises(UserError, match=message):
        PretrainSettings(**{"epochs": 1, "lr": 0.1, "batch_size": 2, "temperature": 0.1, "seed": 0} | change)


COMMAND = ("pretrain", "--weights", "none", "--epochs", "1", "--batch-size", "32", "--fold", "1")


def test_the_command_writes_a_file_for_train_in_the_same_bytes_whatever_the_other_images_are(workspace_folder, run):
    split = pd.read_csv(workspace_folder / "data/splits/lesion.csv").set_index("image_id")
    prepared = workspace_folder / "data/prepared"
    table = pd.read_csv(prepared / "metadata.csv")
    trained_on = roles(split.loc[table["image_id"], "part"].to_numpy(), 1) == "train"
    for name in ("one", "two", "three"):
        if name == "three":  # the other images are inverted; prepared.json still has the hash that is recorded
            pixels = np.load(prepared / "images.npy", mmap_mode="r+")
            pixels[~trained_on] = 255 - pixels[~trained_on]
            pixels.flush()
        outcome = run(*COMMAND, "--out", f"pre/{name}.safetensors", cwd=workspace_folder)
        assert outcome.code == 0, outcome.err
    folder = workspace_folder / "pre"
    assert len(list(folder.iterdir())) == 6  # no checkpoint is left
    for suffix in ("safetensors", "json"):
        assert len({(folder / f"{name}.{suffix}").read_bytes() for name in ("one", "two", "three")}) == 1
    record = json.loads((folder / "one.json").read_text())["pretraining"]
    assert (record["method"], record["fold"], record["protocol"], record["repeat"]) == ("SimCLR", 1, "lesion", 0)
    assert record["trained_on"] == trained_on.sum()
    assert {"settings", "split", "images", "code", "versions", "backbone", "history"} <= set(record)

    stored = load_file(folder / "one.safetensors")
    loaded = load_backbone(TINY, str(folder / "one.safetensors"), 32)
    state = loaded.module.state_dict()
    assert set(state) == set(stored)
    assert all(torch.equal(state[name], stored[name]) for name in state)
    assert loaded.weights_sha256 != load_backbone(TINY, "none", 32).weights_sha256

    flags = ("train", "--weights", "pre/one.safetensors", "--set", "epochs=1", "--fold")
    rejected = run(*flags, "0", cwd=workspace_folder)
    assert rejected.code == 2
    assert rejected.err.startswith("error: train.weights: pre/one.safetensors was pretrained on images that fold 0")
    trained = run(*flags, "1", cwd=workspace_folder)
    assert trained.code == 0, trained.err


def test_the_command_refuses_what_it_cannot_start_from(workspace_folder, run):
    for options, message in (
        (("--out", "pre.pt"), "name a file that ends in .safetensors"),
        (("--out", "p.safetensors", "--weights", "mine.safetensors"), "start from imagenet or none"),
        (("--out", "p.safetensors", "--fold", "9"), "folds"),
        (("--out", "p.safetensors", "--repeat", "1"), "split.repeats"),
        (("--out", "p.safetensors", "--protocol", "patient"), "protocol"),
        (("--out", "p.safetensors", "--epochs", "0"), "--epochs 0"),
    ):
        outcome = run("pretrain", *options, cwd=workspace_folder)
        assert outcome.code == 2
        assert message in outcome.err
    assert not (workspace_folder / "p.safetensors").exists()
