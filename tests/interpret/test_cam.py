"""Activation maps of every kind of model against the grad-cam library, and the measures on them by hand."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from skinlesion.errors import UserError
from skinlesion.interpret.cam import Explained, activation_maps
from skinlesion.interpret.pointing import energy_inside, pointing_hit
from skinlesion.interpret.sanity import rank_correlation, with_random_weights
from skinlesion.models.backbones import load_backbone
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.models.fusion import image_features_of
from skinlesion.models.metadata_encoders import Field
from skinlesion.params import TrainParams
from tests.conftest import TINY

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
    model_metadata = None if fusion == "none" else metadata
    targets = ([0, 3, 6], [1, 4, 5], [2, 0, 1])
    maps = np.stack(
        [activation_maps(explained, images, model_metadata, np.array(classes), method) for classes in targets]
    )
    assert maps.shape == (3, 3, 96, 96)
    assert maps.min() >= 0
    highest = maps.max(axis=(2, 3)).round(5)
    assert set(highest.ravel()) <= {0.0, 1.0}  # a map without a positive value stays 0
    assert 1.0 in highest


def test_a_map_is_the_one_grad_cam_makes_of_an_ordinary_network():
    """A whole timm network with a linear classifier, explained by the library without any of our wrapping."""
    explained, images, _ = model_of(TINY, "none")

    class CompleteModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = explained.tapped.model, explained.head

        def forward(self, x):
            return self.head(self.body(x), None)

    classes = np.array([1, 4, 5])
    whole = CompleteModel().eval()
    with GradCAM(whole, [whole.body.layer4[-1]]) as library:
        expected = library(images.clone().requires_grad_(), [ClassifierOutputTarget(int(target)) for target in classes])
    maps = activation_maps(explained, images, None, classes, "gradcam")
    top = expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(maps, expected / np.where(top > 0, top, 1), atol=1e-4)


def test_maps_depend_on_the_class_and_on_the_metadata():
    explained, images, metadata = model_of(TINY, "film")
    explained.head.fusion.modulation.weight.data.normal_()  # FiLM starts as the identity
    first, second = (activation_maps(explained, images, metadata, np.full(3, c), "gradcam") for c in (0, 4))
    assert np.abs(first - second).max() > 0.05
    third = activation_maps(explained, images, metadata + 5, np.zeros(3, int), "gradcam")
    assert np.abs(first - third).max() > 0.05


@pytest.mark.parametrize("method", ["gradcam", "rollout"])
@pytest.mark.parametrize("fusion", ["none", "concat"])
def test_transformers_have_maps_too(method, fusion):
    explained, images, metadata = model_of(VIT, fusion)
    model_metadata = None if fusion == "none" else metadata
    maps = activation_maps(explained, images, model_metadata, np.array([0, 1, 2]), method)
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


def test_what_cannot_be_mapped_is_reported():
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


def test_rank_correlation_depends_on_order_alone():
    maps = np.random.default_rng(0).random((2, 5, 5))
    np.testing.assert_allclose(rank_correlation(maps, maps**3), 1)
    np.testing.assert_allclose(rank_correlation(maps, -maps), -1)
    assert np.isnan(rank_correlation(maps, np.ones((2, 5, 5)))).all()


@pytest.mark.parametrize("regime", ["frozen", "two_stage"])
def test_random_weights_replace_the_heads_and_then_the_backbones(regime):
    explained, _, _ = model_of(TINY, "concat", regime)
    before = {name: value.clone() for name, value in explained.state_dict().items()}
    copies = dict(with_random_weights(explained, 1))  # another seed than the model's own
    assert list(copies) == ["random_head", "random_weights"]
    weights = {name for name, value in explained.named_parameters() if value.ndim > 1}
    heads = {name for name in weights if name.startswith("head.")}
    assert heads
    assert heads < weights
    for copy_name, changed in (("random_head", heads), ("random_weights", weights)):
        after = copies[copy_name].state_dict()
        assert {name for name in weights if not torch.equal(after[name], before[name])} == changed, copy_name
    assert all(torch.equal(value, before[name]) for name, value in explained.state_dict().items())
