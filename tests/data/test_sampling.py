"""Samplers: how often each image is expected in an epoch."""

import pytest
import torch

from skinlesion.data.sampling import epoch_order
from skinlesion.errors import UserError

LABELS = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)
LESIONS = torch.cat([torch.arange(40).repeat_interleave(2), 40 + torch.arange(20)])  # 40 pairs, then 20 single images


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_shuffle_shows_every_image_once_in_a_new_order():
    first, second = (epoch_order("shuffle", LABELS, LESIONS, generator(seed)) for seed in (0, 1))
    assert sorted(first.tolist()) == list(range(100))
    assert first.tolist() != second.tolist()
    assert first.tolist() == epoch_order("shuffle", LABELS, LESIONS, generator(0)).tolist()


def test_class_balanced_shows_classes_equally_often():
    source = generator()
    drawn = torch.cat([epoch_order("class_balanced", LABELS, LESIONS, source) for _ in range(300)])
    share = torch.bincount(LABELS[drawn], minlength=3) / len(drawn)
    assert share.tolist() == pytest.approx([1 / 3] * 3, abs=0.012)
    within = torch.bincount(drawn, minlength=100)[95:] / (LABELS[drawn] == 2).sum()
    assert within.tolist() == pytest.approx([0.2] * 5, abs=0.02)


def test_lesion_shows_one_image_of_each():
    source = generator()
    epochs = [epoch_order("lesion", LABELS, LESIONS, source) for _ in range(400)]
    for rows in epochs[:5]:
        assert len(rows) == 60
        assert sorted(LESIONS[rows].tolist()) == list(range(60))
    shown = torch.bincount(torch.cat(epochs), minlength=100) / 400
    assert (shown[80:] == 1).all()  # the only image of its lesion
    assert shown[:80].tolist() == pytest.approx([0.5] * 80, abs=0.11)  # either of two, about 4 standard errors
    assert len({tuple(LESIONS[rows].tolist()) for rows in epochs[:5]}) == 5  # lesions come in a new order each time


def test_an_unknown_sampler_names_the_known():
    with pytest.raises(UserError, match="shuffle, class_balanced, lesion"):
        epoch_order("random", LABELS, LESIONS)
