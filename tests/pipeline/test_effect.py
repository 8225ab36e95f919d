"""The stage effect on trained controls: every question is asked, and the page says what the tables say."""

import json
import re

import pandas as pd
import pytest

from skinlesion.params_file import load_params
from skinlesion.report.effect_page import effect_page
from skinlesion.results.controls import controls_of, placebo_of
from skinlesion.results.reader import Results
from tests.conftest import small_params, trained_workspace, write_params

FOLDS = [0, 1, 2, 3, 4]
GRID = {"lr": [0.001, 0.01]}
EXPERIMENTS = {
    "image": {"seeds": [0, 1], "folds": FOLDS},
    "concat": {"fusion": "concat", "seeds": [0, 1], "folds": FOLDS},
    "concat_placebo": {"fusion": "concat", "records": "permuted", "seeds": [0, 1]},
    "image_leaky": {"protocol": "image"},
    "concat_leaky": {"protocol": "image", "fusion": "concat"},
    "image_injected0": {"injected": 0, "select": "last"},
    "image_injected1": {"injected": 1, "select": "last"},
    "concat_injected0": {"fusion": "concat", "injected": 0, "select": "last"},
    "concat_injected1": {"fusion": "concat", "injected": 1, "select": "last"},
    "image_tuned": {"tune": GRID},
    "concat_tuned": {"fusion": "concat", "tune": GRID},
}


def effect_params(multimodal, **changes):
    return small_params(experiments=EXPERIMENTS | changes, effect={"multimodal": multimodal, "label_draws": 5})


def test_controls_are_found_by_their_settings(tmp_path):
    film = {"film": {"fusion": "film"}}
    params = load_params(write_params(tmp_path, effect_params("concat", **film)))
    controls = controls_of(params, "concat")
    assert controls is not None
    assert controls.arms == ("image", "concat")
    assert controls.placebo == "concat_placebo"
    assert controls.leaky == ("image_leaky", "concat_leaky")
    assert controls.injected == {0: ("image_injected0", "concat_injected0"), 1: ("image_injected1", "concat_injected1")}
    assert controls.tuned == ("image_tuned", "concat_tuned")
    others = controls_of(params, "film")
    assert others is not None
    assert (others.placebo, others.leaky, others.injected, others.tuned) == (None, None, {}, None)
    assert controls_of(params, "image") is None  # reads no metadata: nothing to ask
    assert placebo_of(params, "film") is None


@pytest.fixture(scope="module")
def controlled(prepared_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("effect") / "workspace"
    trained_workspace(prepared_template, folder, effect_params("concat"))
    return folder


def test_every_question_is_asked_and_the_page_says_what_the_tables_say(controlled, run):
    path = controlled / "data/prepared/metadata.csv"
    known = pd.read_csv(path)
    places = pd.Series(range(len(known)))
    known["dx_type"] = places.mod(2).map({0: "histo", 1: "follow_up"})
    known["dataset"] = places.mod(3).map({0: "one", 1: "two", 2: "two"})
    known.to_csv(path, index=False)
    outcome = run("effect", cwd=controlled)
    assert outcome.code == 0, outcome.err
    out = controlled / "reports/effect"
    table = pd.read_csv(out / "effect.csv")
    assert set(table["question"]) == {
        "model", "gain", "placebo", "class", "part of the gain", "leak", "injection", "source", "effort",
    }  # fmt: skip
    metrics = {
        name: json.loads((controlled / f"reports/runs/{name}/metrics.json").read_text())["balanced_accuracy"]
        for name in ("image", "concat")
    }
    gain = table[(table["question"] == "gain") & (table["metric"] == "balanced_accuracy")].iloc[0]
    assert gain["value"] == pytest.approx(metrics["concat"] - metrics["image"])
    assert json.loads((out / "effect.json").read_text())["gain"] == pytest.approx(gain["value"])
    noise = pd.read_csv(out / "label_noise.csv")
    assert set(noise["rate"]) == {0.01, 0.05, 0.1}
    page = effect_page(Results.open(controlled / "params.yaml"))
    assert "SYNTHETIC DATA" in page
    assert "Intervals are approximate for means over classes if one class has fewer than 15 lesions" in page
    assert [line[:2] for line in page.splitlines() if line[:1].isdigit()] == [f"{number}." for number in range(1, 7)]
    assert f"from {metrics['image']:.3f} to {metrics['concat']:.3f}" in page
    assert not re.search(r"\b(None|nan)\b", page)


def test_without_a_question_the_page_says_so(controlled, run, tmp_path):
    write_params(tmp_path, effect_params(None))
    (tmp_path / "data").symlink_to(controlled / "data")
    assert "Not asked here" in effect_page(Results.open(tmp_path / "params.yaml"))
    outcome = run("effect", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert pd.read_csv(tmp_path / "reports/effect/effect.csv").empty


def test_an_experiment_that_is_not_there_is_named(controlled, run, tmp_path):
    write_params(tmp_path, effect_params("concatt"))
    outcome = run("effect", cwd=tmp_path)
    assert outcome.code == 2
    assert "effect.multimodal" in outcome.err
    assert "concat" in outcome.err
