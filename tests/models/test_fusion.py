"""Fusions: what each computes, and that every part of each learns, with every encoder."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skinlesion.errors import UserError
from skinlesion.models.classifier import FeatureClassifier
from skinlesion.models.fusion import FUSIONS, FilmFusion, MetaBlockFusion, image_features_of, make_fusion
from skinlesion.models.metadata_encoders import ENCODERS, fit_encoder
from skinlesion.models.metadata_network import MetadataShape
from skinlesion.params import TrainParams

WITH_METADATA = [name for name in FUSIONS if name != "none"]
SHAPE = MetadataShape([16, 8], batch_norm=0, layer_dropout=[], dropout=0.0, embedding_width=4)


def people(count=12):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(1, 17, count) * 5.0,
            "sex": rng.choice(["male", "female", "unknown"], count),
            "localization": rng.choice(["back", "face", "unknown"], count),
        }
    )


def inputs(fusion, encoder, count=12):
    kind = image_features_of(fusion)
    generator = torch.Generator().manual_seed(0)
    image = {"none": None, "pooled": torch.randn(count, 10, generator=generator)}.get(kind)
    if kind == "map":
        image = torch.randn(count, 10, 3, 3, generator=generator)
    return image, torch.from_numpy(encoder.encode(people(count)))


@pytest.mark.parametrize("head", [[], [6]])
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("fusion", WITH_METADATA)
def test_every_parameter_of_every_fusion_gets_a_gradient(fusion, name, head):
    torch.manual_seed(0)  # six units behind a ReLU can all be dead by chance
    encoder = fit_encoder(name, people())
    settings = TrainParams(fusion=fusion, metadata=name, head_hidden=head, attention_width=8, attention_heads=2)
    model = FeatureClassifier(settings, 0 if fusion == "metadata_only" else 10, encoder.fields)
    if fusion == "film":  # it starts at zero, where the record's own network gets no gradient yet
        torch.nn.init.normal_(model.fusion.modulation.weight)
    logits = model(*inputs(fusion, encoder))
    assert logits.shape == (12, 7)
    (logits * torch.randn(12, 7)).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    # A bias in front of a batch normalisation is taken out again: it alone may have no effect.
    dead = {key for key, p in model.named_parameters() if not p.grad.abs().sum()}
    assert dead <= {"fusion.scale.0.bias", "fusion.shift.0.bias"}


@pytest.mark.parametrize("fusion", WITH_METADATA)
def test_the_record_matters(fusion):
    torch.manual_seed(0)
    encoder = fit_encoder("onehot", people())
    model = make_fusion(fusion, 10, encoder.fields, SHAPE, attention_width=8, attention_heads=2).eval()
    if fusion == "film":
        torch.nn.init.normal_(model.modulation.weight)
    image, metadata = inputs(fusion, encoder)
    assert not torch.allclose(model(image, metadata), model(image, metadata.flip(0)))


def test_film_starts_as_the_identity_and_equals_modulating_the_map():
    encoder = fit_encoder("onehot", people())
    film = FilmFusion(10, encoder.fields, SHAPE).eval()
    _, metadata = inputs("concat", encoder)
    spatial = torch.randn(12, 10, 3, 3)
    torch.testing.assert_close(film(spatial.mean(dim=(2, 3)), metadata), spatial.mean(dim=(2, 3)))
    torch.nn.init.normal_(film.modulation.weight)
    gamma, beta = film.modulation(film.metadata(metadata)).chunk(2, dim=1)
    modulated = spatial * (1 + gamma)[:, :, None, None] + beta[:, :, None, None]
    torch.testing.assert_close(film(spatial.mean(dim=(2, 3)), metadata), modulated.mean(dim=(2, 3)))


def test_metablock_is_the_papers_formula():
    encoder = fit_encoder("onehot", people())
    block = MetaBlockFusion(10, encoder.fields, SHAPE).eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    spatial, metadata = inputs("metablock", encoder)
    record = block.metadata(metadata)
    expected = torch.zeros(12, 10)
    for row in range(12):
        for channel in range(10):
            gate = torch.tanh(spatial[row, channel] * block.scale(record)[row, channel])
            expected[row, channel] = torch.sigmoid(gate + block.shift(record)[row, channel]).mean()
    torch.testing.assert_close(block(spatial, metadata), expected)


def test_metablock_starts_as_nearly_the_same_gate_for_every_record():
    """With torch's first weights each record turned the signs of the channels at random."""
    encoder = fit_encoder("onehot", people())
    block = MetaBlockFusion(10, encoder.fields, SHAPE)
    spatial, metadata = inputs("metablock", encoder)
    expected = torch.sigmoid(torch.tanh(spatial)).mean(dim=(2, 3))
    difference = (block(spatial, metadata) - expected).abs().mean()
    assert 0 < difference < 0.5 * expected.std()  # torch's own first weights: 1.5 to 3.7 times


def test_attention_depends_on_the_places_and_not_on_their_order():
    """It must tell a changed place from an unchanged one, and has no use for where on the map it lies."""
    torch.manual_seed(0)
    encoder = fit_encoder("onehot", people())
    fusion = make_fusion("cross_attention", 10, encoder.fields, SHAPE, attention_width=8, attention_heads=2).eval()
    spatial, metadata = inputs("cross_attention", encoder)
    moved = spatial.flatten(2)[:, :, torch.randperm(9)].unflatten(2, (3, 3))
    torch.testing.assert_close(fusion(spatial, metadata), fusion(moved, metadata), atol=1e-5, rtol=1e-4)
    one_place = spatial.clone()
    one_place[:, :, 0, 0] += 1
    assert not torch.allclose(fusion(spatial, metadata), fusion(one_place, metadata))


def test_an_unknown_fusion_names_the_known():
    with pytest.raises(UserError, match="none, concat, film"):
        make_fusion("sum", 10, (), SHAPE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion": "metadata_only", "regime": "full"}, "no backbone"),
        ({"fusion": "cross_attention", "image_hidden": [4]}, "feature map"),
        ({"fusion": "cross_attention", "attention_heads": 3}, "does not divide"),
        ({"age": "binned"}, "embedding"),
        ({"views": 4}, "every view is the same"),
        ({"augment": "flips"}, "cached views"),
        ({"augment": {"preset": "flips", "mixup": 0.2}, "views": 4}, "blend pixels"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainParams(**changes)


def test_layers_of_the_metadata_network_have_their_own_dropout_and_normalisation():
    """p3's: 64 → norm → dropout 0.3 → 64 → norm → 32."""
    settings = TrainParams(
        fusion="concat", metadata="ordinal", metadata_hidden=[64, 64, 32], metadata_batch_norm=2,
        metadata_layer_dropout=[0.3], batch_norm_momentum=0.01,
    )  # fmt: skip
    encoder = fit_encoder("ordinal", people())
    model = FeatureClassifier(settings, 8, encoder.fields)
    layers = [layer for layer in model.fusion.modules() if isinstance(layer, nn.Linear | nn.BatchNorm1d | nn.Dropout)]
    described = [
        ("norm", layer.momentum) if isinstance(layer, nn.BatchNorm1d)
        else ("dropout", layer.p) if isinstance(layer, nn.Dropout)
        else ("dense", layer.out_features)
        for layer in layers
    ]  # fmt: skip
    steps = [step for step in described if step != ("dropout", 0.0)]
    assert steps == [
        ("dense", 64), ("norm", 0.01), ("dropout", 0.3), ("dense", 64), ("norm", 0.01), ("dense", 32),
    ]  # fmt: skip


def test_one_normalised_layer_is_true_or_one():
    encoder = fit_encoder("ordinal", people())
    for value in (True, 1):
        settings = TrainParams(fusion="concat", metadata="ordinal", metadata_batch_norm=value)
        model = FeatureClassifier(settings, 8, encoder.fields)
        assert sum(isinstance(layer, nn.BatchNorm1d) for layer in model.modules()) == 1
