"""Backbones and their weights."""

import numpy as np
import pytest
import torch
from torch import nn

from skinlesion.errors import UserError
from skinlesion.models.backbones import load_backbone, parameter_groups
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.models.pretrained import PIP_WEIGHTS, load_by_position, pip_file
from skinlesion.params import TrainParams
from tests.conftest import TINY


def test_a_backbone_preprocesses_its_input():
    backbone = load_backbone(TINY, "none", 32)
    inputs = backbone.preprocess(torch.zeros(2, 48, 48, 3, dtype=torch.uint8))
    assert inputs.shape == (2, 3, 32, 32)
    np.testing.assert_allclose(inputs[0, :, 0, 0], -np.array(backbone.mean) / np.array(backbone.std), rtol=1e-5)
    assert backbone.module(inputs).shape == (2, backbone.width)
    assert load_backbone(TINY, "none", 32).weights_sha256 == backbone.weights_sha256  # random, but always the same


def test_a_safetensors_file_supplies_weights(tmp_path):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = timm.create_model(TINY, pretrained=False)
    save_file(model.state_dict(), tmp_path / "mine.safetensors")
    backbone = load_backbone(TINY, str(tmp_path / "mine.safetensors"), 32)
    state = dict(backbone.module.state_dict())
    assert all(torch.equal(state[name], model.state_dict()[name]) for name in state)


@pytest.mark.parametrize("name", sorted(PIP_WEIGHTS))
def test_pip_weights_are_imagenet_weights(name):
    """They load tensor by tensor, and what they load was trained: no layer has the statistics of a fresh model."""
    if pip_file(name) is None:
        pytest.skip("the offline extra is not installed")
    trained, random = load_backbone(name, "imagenet"), load_backbone(name, "none")
    assert trained.weights_sha256 != random.weights_sha256
    running = [value for key, value in trained.module.state_dict().items() if key.endswith("running_var")]
    assert all((value != 1).any() for value in running)  # batch statistics of a real training, in every layer


def test_weights_of_another_shape_are_refused(tmp_path):
    import timm

    path = pip_file("tf_efficientnet_lite0")
    if path is None:
        pytest.skip("the offline extra is not installed")
    with pytest.raises(UserError, match="does not fit"):
        load_by_position(timm.create_model("tf_efficientnet_lite1", num_classes=1000), path)


@pytest.mark.parametrize("name", [TINY, "test_convnext", "test_vit", "tf_efficientnet_lite0"])
def test_pooled_features_are_the_mean_of_the_map_or_the_models_own(name):
    backbone = load_backbone(name, "none")
    images = torch.randn(2, 3, backbone.input_size, backbone.input_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        pooled = backbone.features(backbone.module, images, "pooled", None)
        whole = backbone.features(backbone.module, images, "map", None)
        small = backbone.features(backbone.module, images, "map", 2)
    assert pooled.shape == (2, backbone.width)
    assert whole.shape[:2] == (2, backbone.map_width)
    assert small.shape == (2, backbone.map_width, 2, 2)
    if name == "tf_efficientnet_lite0":  # nothing but average pooling stands between the two
        torch.testing.assert_close(whole.mean(dim=(2, 3)), pooled, atol=1e-5, rtol=1e-4)


def test_a_map_of_channels_last_transformers_is_transposed():
    backbone = load_backbone("swin_tiny_patch4_window7_224", "none")
    with torch.inference_mode():
        feature_map = backbone.features(backbone.module, torch.zeros(1, 3, 224, 224), "map", None)
    assert feature_map.shape == (1, 768, 7, 7)


@pytest.mark.parametrize("name", [TINY, "test_convnext", "test_vit"])
def test_stages_cover_every_parameter_once_and_end_at_the_top(name):
    backbone = load_backbone(name, "none")
    names = [parameter for parameter, _ in backbone.module.named_parameters()]
    for coarse in (True, False):
        groups = parameter_groups(backbone.module, coarse=coarse)
        assert sorted(parameter for group in groups for parameter in group) == sorted(names)
    assert names[-1] in backbone.last_stages(1)  # a norm behind the last stage belongs to it
    assert names[0] not in backbone.last_stages(1)
    assert backbone.last_stages(1) < backbone.last_stages(2)
    assert backbone.last_stages(None) == set(names)
    with pytest.raises(UserError, match="trainable_stages"):
        backbone.last_stages(50)


def test_inputs_scaled_as_p3_did_are_by_hand():
    """Its network wants blue, green and red of 0 to 255 less their means, and got pixels / 255."""
    image = torch.randint(0, 256, (1, 32, 32, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    right, wrong = (load_backbone(TINY, "none", 32, scaling) for scaling in ("backbone", "p3"))
    std = torch.tensor(right.std)
    expected = (image.float() / 255 / (255 * std)).flip(3).permute(0, 3, 1, 2)
    torch.testing.assert_close(wrong.preprocess(image), expected)
    assert wrong.weights_sha256 == right.weights_sha256
    assert wrong.description() != right.description()
    assert wrong.preprocess(image).abs().max() < 0.05 < right.preprocess(image).abs().max()


def test_a_momentum_reaches_every_batch_norm_that_is_trained():
    settings = TrainParams(regime="full", batch_norm_momentum=0.01)
    backbone = load_backbone(TINY, "none", 32)
    model = ImageClassifier(backbone, FeatureClassifier(settings, backbone.width, ()), settings)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    assert {layer.momentum for layer in norms} == {0.01}
