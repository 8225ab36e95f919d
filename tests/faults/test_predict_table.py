"""`predict`: records that do not fit, and options that are wrong, before any model is loaded."""

import json

import numpy as np
import pytest
from PIL import Image

from skinlesion.experiment.predictor import Predictor
from tests.faults.harness import check_refused


@pytest.fixture
def photos(finished, tmp_path):
    pixels = np.load(finished / "data/prepared/images.npy")
    for place, name in enumerate("ab"):
        Image.fromarray(pixels[place]).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture
def no_model_is_loaded(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(Predictor, "open", fail)


def predict(run, finished, *arguments):
    return run("predict", *map(str, arguments), cwd=finished)


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ("image_id,age\na,40\n,50\n", "image_id blank in row 2"),
        ("image_id,age\n  ,40\n", "image_id blank in row 1"),
        ("image_id,age\na,40\na,50\n", "listed twice: a"),
        ("image_id,age\na,40\na.png,50\n", "listed twice: a"),
        ("image_id,age\na,old\n", "age 'old'"),
        ("image_id,age\na,inf\n", "age 'inf'"),
        ("image_id,age\na,-3\n", "outside 0 to 120"),
        ("image_id,age\na,1e9\n", "outside 0 to 120"),
        ("image_id,sex\na,1\n", "sex 1: not known"),
        ("image_id,sex\na,2.5\n", "sex 2.5: not known"),
        ("image_id,localization\na,left knee\n", "localization left knee: not known"),
        ("image_id,localization\na,\x1b[2J\n", "not known"),
        (f"image_id,localization\na,{'x' * 5000}\n", "not known"),
        ("image_id,age,age\na,40,50\n", "column age twice"),
        ("image_id,age\na,40,50\n", "more cells"),
        ("id,age\na,40\n", "image_id missing"),
        ("", "not a readable CSV"),
        ("\0", "null characters"),
    ],
)
def test_tables_that_are_wrong(finished, run, photos, no_model_is_loaded, table, part):
    (photos / "table.csv").write_text(table)
    check_refused(predict(run, finished, photos, "--table", photos / "table.csv"), part)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--sex", "m"), "--sex m"),
        (("--sex", "x" * 5000), "--sex"),
        (("--age", "nan"), "--age nan"),
        (("--age", "-1"), "--age -1"),
        (("--localization", "knee\x1b[31m"), "--localization"),
        (("--table", "nowhere.csv"), "no such file"),
        (("--table", "."), "a folder"),
        (("--table", ""), "empty"),
        (("--cam", "params.yaml"), "where a folder is to be"),
        (("--experiment", "x"), "x"),
    ],
)
def test_options_are_checked_before_a_model_is_loaded(finished, run, photos, no_model_is_loaded, arguments, part):
    check_refused(predict(run, finished, photos, *arguments), part)


@pytest.mark.parametrize("name", ["a", "a.png"])
def test_a_record_is_of_the_file_by_its_name_with_or_without_ending(finished, run, photos, name):
    (photos / "table.csv").write_text(f"image_id,age,sex,localization\n{name},40,male, NA \n")
    outcome = predict(run, finished, photos, "--table", photos / "table.csv", "--no-unlike", "--json")
    assert outcome.code == 0, outcome.err
    assert [json.loads(line)["record"] for line in outcome.out.splitlines()] == [True, False]
    assert "1 of 2 photographs not listed" in outcome.err
    assert "b.png" in outcome.err


def test_two_photographs_of_one_name_and_one_record(finished, run, photos, no_model_is_loaded):
    (photos / "more").mkdir()
    (photos / "a.png").rename(photos / "more/b.png")
    (photos / "table.csv").write_text("image_id,age\nb,40\n")
    check_refused(predict(run, finished, photos, "--table", photos / "table.csv"), "several photographs are named b")
