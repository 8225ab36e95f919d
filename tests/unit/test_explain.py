"""Activation maps of every kind of model, against grad-cam used plainly, and what they are judged by."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from skinlesion.errors import UserError
from skinlesion.interpret.cam import Explained, activation_maps
from skinlesion.interpret.pointing import energy_inside, pointing_hit, rank_correlation
from skinlesion.models.backbones import load_backbone
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.models.fusion import image_features_of
from skinlesion.models.metadata_encoders import Field
from skinlesion.params import TrainParams
from tests.conftest import TINY, small_params, write_params

FIELDS = (Field("age", 0, (0.0, 1.0)), Field("sex", 2, (0.0, 1.0)))
VIT = "test_vit.r160_in1k"


def model_of(backbone_name: str, fusion: str, regime: str = "frozen") -> tuple[Explained, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    backbone = load_backbone(backbone_name, "none", 64 if "vit" in backbone_name else None)
    settings = TrainParams(backbone=backbone_name, fusion=fusion, regime=regime, attention_width=8, attention_heads=2)
    kind = image_features_of(fusion)
    head = FeatureClassifier(settings, backbone.map_width if kind == "map" else backbone.width, FIELDS)
    model: nn.Module = ImageClassifier(backbone, head, settings) if regime != "frozen" else head
    size = 64 if "vit" in backbone_name else 96
    return Explained(model, backbone, kind, None), torch.randn(3, 3, size, size), torch.randn(3, 4)


@pytest.mark.parametrize("fusion", ["none", "concat", "film", "cross_attention", "metablock"])
@pytest.mark.parametrize("regime", ["frozen", "two_stage"])
@pytest.mark.parametrize("method", ["gradcam", "gradcam++"])
def test_maps_have_the_images_size_and_end_at_one(fusion, regime, method):
    explained, images, metadata = model_of(TINY, fusion, regime)
    given = None if fusion == "none" else metadata
    maps = activation_maps(explained, images, given, np.array([0, 3, 6]), method)
    assert maps.shape == (3, 96, 96)
    assert maps.min() >= 0
    assert set(maps.max(axis=(1, 2)).round(5)) <= {0.0, 1.0}


def test_a_map_is_the_one_grad_cam_makes_of_an_ordinary_network():
    """A whole timm network with a linear classifier, explained by the library without any of our wrapping."""
    explained, images, _ = model_of(TINY, "none")

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = explained.tapped.model, explained.head

        def forward(self, x):
            return self.head(self.body(x), None)

    classes = np.array([1, 4, 5])
    whole = Whole().eval()
    with GradCAM(whole, [whole.body.layer4[-1]]) as library:
        expected = library(images.clone().requires_grad_(), [ClassifierOutputTarget(int(one)) for one in classes])
    found = activation_maps(explained, images, None, classes, "gradcam")
    top = expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, expected / np.where(top > 0, top, 1), atol=1e-4)


def test_maps_depend_on_the_class_and_on_the_metadata():
    explained, images, metadata = model_of(TINY, "film")
    explained.head.fusion.modulation.weight.data.normal_()  # FiLM starts as the identity
    one, other = (activation_maps(explained, images, metadata, np.full(3, c), "gradcam") for c in (0, 4))
    assert np.abs(one - other).max() > 0.05
    others = activation_maps(explained, images, metadata + 5, np.zeros(3, int), "gradcam")
    assert np.abs(one - others).max() > 0.05


@pytest.mark.parametrize("method", ["gradcam", "rollout"])
@pytest.mark.parametrize("fusion", ["none", "concat"])
def test_transformers_have_maps_too(method, fusion):
    explained, images, metadata = model_of(VIT, fusion)
    given = None if fusion == "none" else metadata
    maps = activation_maps(explained, images, given, np.array([0, 1, 2]), method)
    assert maps.shape == (3, 64, 64)
    assert maps.max() == pytest.approx(1)
    fused = [block.attn.fused_attn for block in explained.tapped.model.blocks]
    assert fused == [load_backbone(VIT, "none", 64).module.blocks[0].attn.fused_attn] * len(fused)


def test_rollout_of_equal_attention_is_equal_everywhere():
    explained, images, _ = model_of(VIT, "none")
    for block in explained.tapped.model.blocks:
        block.attn.qkv.weight.data.zero_()
        block.attn.qkv.bias.data.zero_()
    np.testing.assert_allclose(activation_maps(explained, images, None, np.zeros(3, int), "rollout"), 1, atol=1e-5)


def test_what_cannot_be_mapped_is_said():
    explained, images, _ = model_of(TINY, "none")
    with pytest.raises(UserError, match="no vision transformer"):
        activation_maps(explained, images, None, np.zeros(3, int), "rollout")
    with pytest.raises(UserError, match=r"gradcam, gradcam\+\+, rollout"):
        activation_maps(explained, images, None, np.zeros(3, int), "lime")


def test_energy_and_pointing_by_hand():
    maps = np.zeros((3, 2, 2))
    maps[0] = [[1.0, 0.5], [0.25, 0.25]]
    maps[1] = [[0.0, 0.0], [0.0, 1.0]]
    masks = np.zeros((3, 2, 2), dtype=bool)
    masks[:, 0] = True
    np.testing.assert_allclose(energy_inside(maps, masks), [0.75, 0, np.nan])
    np.testing.assert_allclose(pointing_hit(maps, masks), [1, 0, np.nan])


def test_rank_correlation_sees_order_alone():
    one = np.random.default_rng(0).random((2, 5, 5))
    np.testing.assert_allclose(rank_correlation(one, one**3), 1)
    np.testing.assert_allclose(rank_correlation(one, -one), -1)
    assert np.isnan(rank_correlation(one, np.ones((2, 5, 5)))).all()


@pytest.fixture
def masked(workspace_folder, run):
    """Two trained and evaluated experiments, and a mask for most of the images: the left half of each frame."""
    write_params(workspace_folder, small_params(train={"input_size": 96}, explain={"sanity_images": 10, "examples": 2}))
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
    import pandas as pd

    outcome = run("explain", cwd=masked)
    assert outcome.code == 0, outcome.err
    out = masked / "reports/explanations"
    figures = json.loads((out / "explanation.json").read_text())
    assert set(figures) == {"image", "concat"}
    for name, values in figures.items():
        assert values["mask_area"] == pytest.approx(0.5, abs=0.02)  # half of the frame is half of its square
        assert values["energy_inside_low"] <= values["energy_inside"] <= values["energy_inside_high"]
        assert abs(values["rank_correlation_with_random_weights"]) < 0.9
        table = pd.read_csv(out / "maps" / name / "pointing.csv")
        tested = pd.read_csv(masked / f"reports/runs/{name}/predictions.csv")
        assert set(table["image_id"]) == set(tested["image_id"])
        both = table.set_index("image_id").loc[tested["image_id"]]
        np.testing.assert_allclose(both["probability"], tested.filter(like="p_").max(axis=1), atol=1e-5)
        known = table[table["energy_inside"].notna()]
        assert 0 < len(known) < len(table)
        assert values["energy_inside"] == pytest.approx(known["energy_inside"].mean())
        for kind in ("right", "wrong", "confidently_wrong"):
            pictures = list((out / "maps" / name / kind).glob("*.png"))
            assert 1 <= len(pictures) <= 2
            with Image.open(pictures[0]) as picture:
                assert picture.size == (64, 32)


def test_single_images_are_mapped_by_the_model_that_was_tested_on_them(masked, run):
    import pandas as pd

    tested = pd.read_csv(masked / "reports/runs/concat/predictions.csv")["image_id"]
    outcome = run("explain", "--experiment", "concat", "--image", tested[0], "--image", tested[3], cwd=masked)
    assert outcome.code == 0, outcome.err
    assert len(outcome.out.split()) == 2
    refused = run("explain", "--experiment", "concat", "--image", "nobody", cwd=masked)
    assert refused.code == 2
    assert "nobody" in refused.err
    assert run("explain", "--experiment", "concat", cwd=masked).code == 2


def test_without_masks_there_are_maps_and_no_figures_on_the_lesion(masked, run):
    import shutil

    shutil.rmtree(masked / "masks")
    assert run("explain", cwd=masked).code == 0
    figures = json.loads((masked / "reports/explanations/explanation.json").read_text())
    assert "energy_inside" not in figures["image"]
    assert "rank_correlation_with_random_head" in figures["image"]
