"""Networks with folded batch normalisation: the same outputs, fewer layers, and nothing folded that must not be."""

import pytest
import torch
from torch import nn

from skinlesion.models.backbones import load_backbone
from skinlesion.models.batch_norm_folding import fold_batch_norm


def norms(module):
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


def randomise_batch_norm(module):
    """Give every batch normalisation random statistics and weights."""
    generator = torch.Generator().manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            with torch.no_grad():
                for tensor in (layer.running_mean, layer.bias):
                    tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
                for tensor in (layer.running_var, layer.weight):
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module


@pytest.mark.parametrize(
    ("name", "remaining"),
    [("tf_efficientnet_lite0", 0), ("resnet18", 0), ("mobilenetv3_small_050", 0), ("densenet121", 62)],
)
def test_the_copy_gives_the_same_output_with_fewer_layers(name, remaining):
    module = randomise_batch_norm(load_backbone(name, "none", 96).module)
    generator = torch.Generator().manual_seed(0)
    before = norms(module)
    folded = fold_batch_norm(module, torch.randn(2, 3, 96, 96, generator=generator))
    images = torch.randn(3, 3, 96, 96, generator=generator)
    with torch.no_grad():
        expected = module(images)
        torch.testing.assert_close(folded(images), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert norms(folded) == remaining < before == norms(module)


def test_a_network_without_batch_normalisation_is_returned_as_it_is():
    module = load_backbone("test_vit", "none").module
    assert fold_batch_norm(module, torch.randn(1, 3, 160, 160)) is module


class SharedOutput(nn.Module):
    """A convolution whose output is read twice: before and after its normalisation."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images):
        convolved = self.convolution(images)
        return self.norm(convolved) + convolved


def test_an_output_that_another_layer_uses_too_is_not_folded():
    module = randomise_batch_norm(SharedOutput())
    assert fold_batch_norm(module, torch.randn(2, 3, 8, 8)) is module
