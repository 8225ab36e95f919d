"""The Python interface gives the figures of the command line, whatever form predictions come in."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import skinlesion as sl
from skinlesion.errors import UserError
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS
from tests.cli.test_compare import folder, predictions  # noqa: F401
from tests.stages.test_retest import archive, published  # noqa: F401

FAST = {"replicates": 200, "permutations": 200}


def arrays(table):
    """Return probabilities, labels, lesions and ids of a table of predictions."""
    return (
        table[list(PROBABILITY_COLUMNS)].to_numpy(),
        table["dx"].map(CLASSES.index).to_numpy(),
        table["lesion_id"].to_numpy(),
        table["image_id"].to_numpy(),
    )


def test_the_package_is_imported_without_anything_heavy():
    code = "import sys, skinlesion; print([name for name in ('numpy', 'pandas', 'pydantic') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    code = "import sys, skinlesion as sl; sl.compare; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
    assert set(sl.__all__) <= set(dir(sl))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        sl.nothing  # noqa: B018


def test_files_frames_and_arrays_compare_alike_and_as_the_command_does(folder, run):  # noqa: F811
    paths = [folder / "weak.csv", folder / "strong.csv"]
    frames = [pd.read_csv(path) for path in paths]
    loaded_arrays = []
    for frame in frames:
        p, labels, lesions, ids = arrays(frame)
        loaded_arrays.append(sl.load_predictions(p, labels=labels, lesions=lesions, image_ids=ids))
    names = ["weak", "strong"]
    results = [sl.compare(*models, names=names, **FAST) for models in (paths, frames, loaded_arrays)]
    flags = ("--replicates", "200", "--permutations", "200", "--json")
    printed = json.loads(run("compare", "weak.csv", "strong.csv", *flags, cwd=folder).out)
    for result in results:
        assert json.loads(result.report.model_dump_json()) == printed
    first = results[0]
    assert first.answers == [repr(first).splitlines()[0]]
    assert first.answers[0].startswith("strong is better than weak by")
    assert set(first.to_frame()["metric"]) >= {"balanced_accuracy", "accuracy"}
    assert isinstance(first.plot(), Figure)
    assert "<svg" in first._repr_html_()
    assert first.to_html().startswith("<!doctype html>")


def test_scores_are_those_of_the_command(folder, run):  # noqa: F811
    scores = sl.score(folder / "weak.csv")
    printed = json.loads(run("score", "weak.csv", "--json", cwd=folder).out)
    assert scores.values == printed["metrics"]
    assert scores["accuracy"] == printed["metrics"]["accuracy"]
    row = scores.to_frame().loc["balanced_accuracy"]
    assert row["low"] < row["value"] < row["high"]
    assert "balanced accuracy" in repr(scores)
    assert isinstance(scores.plot(), Figure)
    assert "<table" in scores._repr_html_()


def test_validation_adds_the_assessment(folder):  # noqa: F811
    scores = sl.score(folder / "weak.csv", validation=folder / "third.csv")
    assert scores.assessment
    assert scores.tables
    assert "temperature" in scores.values


def test_predictions_go_to_a_frame_and_back(folder):  # noqa: F811
    loaded = sl.load_predictions(folder / "weak.csv")
    restored = sl.load_predictions(loaded.to_frame())
    np.testing.assert_array_equal(restored.probabilities, loaded.probabilities)
    assert list(restored.image_ids) == list(loaded.image_ids)
    assert repr(loaded).startswith("Predictions(")
    assert repr(loaded).endswith("1 training)")


def test_several_trainings_are_an_array_with_a_first_axis(folder):  # noqa: F811
    p, labels, lesions, _ = arrays(pd.read_csv(folder / "weak.csv"))
    loaded = sl.load_predictions(np.stack([p, p[:, ::1]]), labels=np.array(CLASSES)[labels], lesions=lesions)
    assert loaded.probabilities.shape == (2, *p.shape)
    assert loaded.seeds == (0, 1)


def test_models_are_called_after_their_files(folder):  # noqa: F811
    for name in ("weak", "strong"):
        pd.read_csv(folder / f"{name}.csv").to_csv(folder / f"{name}.v1.csv.gz", index=False)
    result = sl.compare(folder / "weak.v1.csv.gz", folder / "strong.v1.csv.gz", **FAST)
    assert result.answers[0].startswith("strong.v1 is better than weak.v1 by")


def test_the_bootstrap_is_paired_and_by_lesion(folder):  # noqa: F811
    drawn = sl.bootstrap(folder / "weak.csv", folder / "strong.csv", metrics=["accuracy"], replicates=200)
    table = drawn.to_frame()
    assert list(table["b"]) == ["", "", "strong"]
    difference = table.iloc[2]
    assert difference["value"] == pytest.approx(table.iloc[1]["value"] - table.iloc[0]["value"])
    assert difference["low"] < difference["value"] < difference["high"]
    assert isinstance(drawn.plot(), Figure)
    assert isinstance(sl.bootstrap(folder / "weak.csv", metrics=["accuracy"], replicates=100).plot(), Figure)
    assert "accuracy" in repr(drawn)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda table: sl.compare(table), "two or more predictions"),
        (lambda table: sl.compare(table, table, names=["a", "a"]), "2 different names"),
        (lambda table: sl.compare(table, table, cluster="patient"), "--cluster patient"),
        (lambda table: sl.bootstrap(table, metrics=["acuracy"]), "did you mean accuracy"),
        (lambda table: sl.bootstrap(), "give predictions"),
        (lambda table: sl.load_predictions(arrays(table)[0]), "labels: give"),
        (lambda table: sl.load_predictions(arrays(table)[0][:, :3], labels=[0]), r"array of shape \(\d+, 3\)"),
        (lambda table: sl.load_predictions(arrays(table)[0], labels=[0, 1]), "dx: give"),
        (lambda table: sl.load_predictions(arrays(table)[0], labels=np.full(len(table), 7)), "labels: positions"),
        (lambda table: sl.load_predictions(table.drop(columns="dx")), "column dx missing"),
        (lambda table: sl.load_predictions(table, table.drop(columns="dx")), "truth: column dx missing"),
        (lambda table: sl.load_predictions(table.assign(p_mel=2.0)), "not probabilities"),
        (lambda table: sl.load_predictions("missing.csv"), "missing.csv: no such file"),
        (lambda table: sl.compare(table, table).plot(("a", "c")), "give one of"),
    ],
)
def test_a_mistake_is_named(folder, call, words):  # noqa: F811
    with pytest.raises(UserError, match=words):
        call(pd.read_csv(folder / "weak.csv"))


def test_retest_judges_files_and_writes_nothing(archive, published):  # noqa: F811
    results_folder, _ = published
    before = sorted(results_folder.iterdir())
    judged = sl.retest(results_folder, archive=archive[0])
    assert list(judged.to_frame().index) == ["good_HAM", "poor_HAM"]
    assert "balanced accuracy" in repr(judged)
    assert len(judged.pairs())
    assert isinstance(judged.plot(), Figure)
    assert "<table" in judged._repr_html_()
    assert sorted(results_folder.iterdir()) == before
