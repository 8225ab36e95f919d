"""Encoders, fusion, losses and backbones."""

import numpy as np
import pandas as pd
import pytest
import torch

from skinlesion.errors import UserError
from skinlesion.models.backbones import load_backbone
from skinlesion.models.classifier import FeatureClassifier
from skinlesion.models.losses import class_weights, make_loss
from skinlesion.models.metadata_encoders import fit_encoder, restore_encoder
from skinlesion.models.pretrained import PIP_WEIGHTS, load_by_position, pip_file
from skinlesion.params import TrainParams
from tests.conftest import TINY


def people(**columns):
    base = {
        "age": [40.0, 60.0, np.nan],
        "sex": ["male", "female", "unknown"],
        "localization": ["back", "face", "unknown"],
    }
    return pd.DataFrame(base | columns)


def test_onehot_imputes_the_training_mean_and_flags_it():
    encoder = fit_encoder("onehot", people())
    encoded = encoder.encode(people())
    assert encoded.shape == (3, encoder.width)
    np.testing.assert_allclose(encoded[:, 0], [-1, 1, 0])  # mean 50, standard deviation 10; missing becomes the mean
    np.testing.assert_array_equal(encoded[:, 1], [0, 0, 1])
    np.testing.assert_array_equal(encoded[:, 2:].sum(axis=1), 2)  # one sex and one site each


def test_onehot_is_fitted_on_training_rows_alone_and_survives_the_unseen():
    encoder = fit_encoder("onehot", people())
    strange = people(sex=["other", "male", "male"], localization=["moon", "back", "back"], age=[300.0, 0.0, 50.0])
    encoded = encoder.encode(strange)
    assert encoded[0, 2:].sum() == 0
    assert encoded[0, 0] == pytest.approx(25)  # still on the scale of the training rows
    again = restore_encoder("onehot", encoder.state())
    np.testing.assert_array_equal(again.encode(strange), encoded)


def test_onehot_needs_an_age():
    with pytest.raises(UserError, match="no training image has an age"):
        fit_encoder("onehot", people(age=[np.nan] * 3))


def test_balanced_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 50 + [1] * 30 + [2] * 20)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    found = class_weights("balanced", torch.bincount(torch.from_numpy(labels)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert class_weights("none", torch.tensor([5, 1])).tolist() == [1, 1]


def test_weighted_cross_entropy_by_hand():
    logits = torch.log(torch.tensor([[0.7, 0.3], [0.4, 0.6]]))
    loss = make_loss(torch.tensor([1.0, 3.0]))(logits, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx((-np.log(0.7) - 3 * np.log(0.6)) / 4)


@pytest.mark.parametrize("fusion", ["none", "concat"])
@pytest.mark.parametrize("head", [[], [16]])
def test_every_parameter_of_a_classifier_gets_a_gradient(fusion, head):
    settings = TrainParams(fusion=fusion, head_hidden=head)
    model = FeatureClassifier(settings, image_width=10, metadata_width=5)
    logits = model(torch.randn(8, 10), torch.randn(8, 5) if fusion == "concat" else None)
    assert logits.shape == (8, 7)
    logits.logsumexp(1).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_backbone_says_what_input_it_wants():
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
    own = dict(backbone.module.state_dict())
    assert all(torch.equal(own[name], model.state_dict()[name]) for name in own)


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
