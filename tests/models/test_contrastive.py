"""The contrastive loss against a plain loop, and what is said without the library."""

import math
import sys

import pytest
import torch

from skinlesion.errors import UserError
from skinlesion.models.backbones import load_backbone
from skinlesion.models.contrastive import ContrastiveNetwork, contrastive_loss
from tests.conftest import TINY


def test_the_loss_is_that_of_a_plain_loop():
    pytest.importorskip("lightly", reason="the extra `pretrain` is not installed")
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(5, 7, generator=generator), torch.randn(5, 7, generator=generator)
    views = [*first.tolist(), *second.tolist()]

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    losses = []
    for place, view in enumerate(views):
        partner = (place + 5) % 10
        similar = {other: math.exp(cosine(view, views[other]) / 0.3) for other in range(10) if other != place}
        losses.append(-math.log(similar[partner] / sum(similar.values())))
    assert float(contrastive_loss(0.3)(first, second)) == pytest.approx(sum(losses) / 10, rel=1e-5)


def test_the_missing_library_is_named(monkeypatch):
    for name in ("lightly", "lightly.loss", "lightly.models.modules.heads"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="pip install 'skinlesion\\[pretrain\\]'"):
        contrastive_loss(0.1)
    with pytest.raises(UserError, match="lightly is not installed"):
        ContrastiveNetwork(load_backbone(TINY, "none", 32))
