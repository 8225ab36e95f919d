"""Options of the command line with invalid values: one line, and nothing is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinlesion.params import TrainParams
from tests.conftest import small_params, write_params
from tests.faults.harness import cases, check_ended, check_refused, snapshot

LONG = "x" * 5000

REFUSED = [
    (["train", "--experiment", ""], "an argument is empty"),
    (["train", "--experiment", LONG], "not an experiment in params.yaml; valid: concat"),
    (["train", "--experiment", "a\x1b[2J"], "a\\x1b[2J"),
    (["train", "--backbone", LONG], "train.backbone"),
    (["train", "--backbone", "a\x1b[31m"], "train.backbone"),
    (["train", "--backbone", "resnet18\n"], "train.backbone"),
    (["train", "--weights", f"{LONG}.safetensors"], "train.weights: 'xxx"),
    (["train", "--weights", "a\nb.safetensors"], "train.weights"),
    (["train", "--regime", LONG], "train.regime: 'xxx"),
    (["train", "--seed", "9" * 30], "train.seeds.0"),
    (["train", "--seed", "9" * 5000], "--seed"),
    (["train", "--set", "lr"], "FIELD=VALUE"),
    (["train", "--set", LONG], "FIELD=VALUE"),
    (["train", "--set", f"{LONG}=1"], "unknown field"),
    (["train", "--set", "l\x1br=1"], "unknown field"),
    (["train", "--set", "epochs=true"], "train.epochs: True"),
    (["train", "--set", "epochs=1.0"], "train.epochs: 1.0"),
    (["train", "--set", "epochs='3'"], "train.epochs: '3'"),
    (["train", "--set", "lr=.nan"], "train.lr: nan"),
    (["train", "--set", "lr=" + "9" * 5000], "--set lr"),
    (["train", "--set", "costs={? {}: 1}"], "--set costs"),
    (["train", "--set", "costs=&a {mel: *a}"], "--set costs"),
    (["train", "--set", "seeds=2020-13-45"], "--set seeds"),
    (["train", "--set", "seeds=!!int x"], "--set seeds"),
    (["train", "--set", "seeds=[" * 3000], "--set seeds"),
    (["train", "--set", 'weights="a\\0.safetensors"'], "--set weights"),
    (["compare", "a", "b", "--replicates", "1000000000"], "--replicates"),
    (["compare", "a", "b", "--permutations", "1000000000"], "--permutations"),
    (["compare", "a", "b", "--seed", "9" * 30], "--seed"),
    (["compare", "a", "b", "--margin", "nan"], "--margin"),
    (["score", "a", "--replicates", "1000000000"], "--replicates"),
    (["score", "a", "--seed", "9" * 30], "--seed"),
    (["diff", "--replicates", "1000000000"], "--replicates"),
    (["pretrain", "--out", "p.safetensors", "--epochs", "9" * 20], "--epochs"),
    (["pretrain", "--out", "p.safetensors", "--batch-size", "9" * 20], "--batch-size"),
    (["pretrain", "--out", "p.safetensors", "--seed", "9" * 20], "--seed"),
    (["assess", LONG], "neither experiment nor ensemble of params.yaml"),
    (["assess", "a\x1b\n"], "neither experiment nor ensemble"),
    (["prepare", "--external", LONG], "not in params.yaml"),
    (["fetch", LONG], "not a data set that can be fetched"),
]


@pytest.mark.parametrize(("arguments", "part"), REFUSED)
def test_an_option_that_is_refused(tmp_path, run, arguments, part):
    write_params(tmp_path, small_params())
    before = snapshot(tmp_path)
    outcome = run(*arguments, cwd=tmp_path)
    check_refused(outcome, part)
    assert "x" * 81 not in outcome.err  # what is echoed is cut
    assert snapshot(tmp_path) == before


VALUES = [
    "", "=", "true", "3", "1.0", "-1", "9" * 5000, ".nan", "[", "{a: 1}", "[1, 1]", "null", "&a [*a]", "*a", "!!int x",
    "2020-13-45", "'", '"\\x1b"', "\x1b", "\n", "a\nb", LONG, "é", "%", "? {}", "\ud800", "../x", ".safetensors",
]  # fmt: skip


@st.composite
def odd_flags(draw) -> list[str]:
    """Return flags of `train`, some with invalid values; --dry-run, so that nothing is trained where all are valid."""
    flags = ["--dry-run"]
    names = ["backbone", "weights", "regime", "fusion", "metadata", "protocol", "fold", "seed", "experiment"]
    for _ in range(draw(st.integers(1, 3))):
        value = draw(st.sampled_from(VALUES) | st.text(max_size=10))
        field = draw(st.sampled_from([*TrainParams.model_fields, "", "lrr", "train.lr"]))
        flags += draw(st.sampled_from([["--set", f"{field}={value}"], [f"--{draw(st.sampled_from(names))}", value]]))
    return flags


def _check_flags(flags, folder, run):
    write_params(folder, small_params())
    before = snapshot(folder)
    check_ended(run("train", *flags, cwd=folder))
    assert snapshot(folder) == before


@cases(20)
@given(flags=odd_flags())
def test_odd_flags_end_in_one_line(tmp_path, run, flags):
    _check_flags(flags, tmp_path, run)


@pytest.mark.slow
@cases(1000)
@given(flags=odd_flags())
def test_many_odd_flags_end_in_one_line(tmp_path, run, flags):
    _check_flags(flags, tmp_path, run)
