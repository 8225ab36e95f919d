"""The stage `explain`: maps of a test fold measured against lesion masks, and maps of single images."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import spearmanr

from skinlesion.experiment.explanation import ExplainedRun
from skinlesion.interpret.sanity import with_random_weights
from skinlesion.params import Params
from skinlesion.params_file import load_params
from skinlesion.results.workspace import Workspace
from tests.conftest import small_params, write_params


@pytest.fixture
def masked(workspace_folder, run):
    """Two trained and evaluated experiments, and a mask for most of the images: the left half of each frame."""
    write_params(
        workspace_folder, small_params(train={"input_size": 96}, explain={"sanity_images": 200, "examples": 2})
    )
    for name in ("image", "concat"):
        assert run("train", "--experiment", name, cwd=workspace_folder).code == 0
        assert run("evaluate", "--experiment", name, cwd=workspace_folder).code == 0
    folder = workspace_folder / "masks"
    folder.mkdir()
    frame = np.zeros((60, 80), dtype=np.uint8)
    frame[:, :40] = 255
    for number in range(150):
        Image.fromarray(frame).save(folder / f"PHANTOM_{number:07d}_segmentation.png")
    return workspace_folder


def test_a_test_fold_is_measured_against_the_masks(masked, run):
    outcome = run("explain", cwd=masked)
    assert outcome.code == 0, outcome.err
    out = masked / "reports/explanations"
    figures = json.loads((out / "explanation.json").read_text())
    assert set(figures) == {"image", "concat"}
    for name, values in figures.items():
        assert values["mask_area"] == pytest.approx(0.5, abs=0.02)  # half of the frame is half of its square
        assert values["energy_inside_low"] <= values["energy_inside"] <= values["energy_inside_high"]
        table = pd.read_csv(out / "maps" / name / "pointing.csv")
        tested = pd.read_csv(masked / f"reports/runs/{name}/predictions.csv")
        assert set(table["image_id"]) == set(tested["image_id"])
        both = table.set_index("image_id").loc[tested["image_id"]]
        np.testing.assert_allclose(both["probability"], tested.filter(like="p_").max(axis=1), atol=1e-5)
        measured = table[table["energy_inside"].notna()]
        assert 0 < len(measured) < len(table)
        assert values["energy_inside"] == pytest.approx(measured["energy_inside"].mean())
        for kind in ("right", "wrong", "confidently_wrong"):
            pictures = list((out / "maps" / name / kind).glob("*.png"))
            assert 1 <= len(pictures) <= 2
            with Image.open(pictures[0]) as picture:
                assert picture.size == (64, 32)


def test_maps_are_compared_with_those_of_random_weights(masked, run):
    """The figures are the mean Spearman correlations, by scipy, of the maps of all tested images (fewer than 200)."""
    assert run("explain", cwd=masked).code == 0
    figures = json.loads((masked / "reports/explanations/explanation.json").read_text())["image"]
    params, workspace = load_params(masked / "params.yaml"), Workspace(masked)
    trained = ExplainedRun.open(params, workspace, "image", 0)
    maps = trained.map_rows(trained.tested_rows).maps
    expected = {}
    for name, randomised in with_random_weights(trained.explained, 0):
        others = trained.map_rows(trained.tested_rows, randomised).maps
        pairs = [(map_.ravel(), other.ravel()) for map_, other in zip(maps, others, strict=True)]
        correlations = [spearmanr(*pair).statistic for pair in pairs if np.ptp(pair[0]) and np.ptp(pair[1])]
        expected[f"rank_correlation_with_{name}"] = np.mean(correlations)
    assert expected == pytest.approx({name: figures[name] for name in expected}, abs=1e-6)
    assert len(set(expected.values())) == 2


def test_single_images_are_mapped_by_the_model_that_was_tested_on_them(masked, run, monkeypatch):
    tested = pd.read_csv(masked / "reports/runs/concat/predictions.csv")["image_id"]
    outcome = run("explain", "--experiment", "concat", "--image", tested[0], "--image", tested[3], cwd=masked)
    assert outcome.code == 0, outcome.err
    assert len(outcome.out.split()) == 2
    assert run("explain", "--experiment", "concat", cwd=masked).code == 2
    monkeypatch.setattr(ExplainedRun, "open", lambda *_, **__: pytest.fail("a model was opened for an unknown image"))
    rejected = run("explain", "--experiment", "concat", "--image", tested[0], "--image", "nobody", cwd=masked)
    assert rejected.code == 2
    assert "--image nobody: not among the images that concat was tested on" in rejected.err


def test_the_explained_fold_is_one_of_the_experiments():
    params = Params.model_validate(small_params(experiments={"image": {}, "late": {"folds": [1, 2]}}))
    assert [params.explained_fold(name) for name in ("image", "late")] == [0, 1]


def test_without_masks_there_are_maps_and_no_figures_on_the_lesion(masked, run):
    shutil.rmtree(masked / "masks")
    assert run("explain", cwd=masked).code == 0
    figures = json.loads((masked / "reports/explanations/explanation.json").read_text())
    assert "energy_inside" not in figures["image"]
    assert "rank_correlation_with_random_head" in figures["image"]
