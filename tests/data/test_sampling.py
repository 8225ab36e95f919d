"""Samplers: how often each image is expected in an epoch."""

import pytest
import torch

from skinlesion.data.sampling import epoch_order
from skinlesion.errors import UserError

LABELS = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)
LESIONS = torch.cat([torch.arange(40).repeat_interleave(2), 40 + torch.arange(20)])  # 40 pairs, then 20 single images
GROUPS = torch.tensor([4] * 2 + [0] * 68 + [2] * 30)  # 1 and 3 are absent


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_shuffle_shows_every_image_once_in_a_new_order():
    first, second = (epoch_order("shuffle", LABELS, LESIONS, GROUPS, generator(seed)) for seed in (0, 1))
    assert sorted(first.tolist()) == list(range(100))
    assert first.tolist() != second.tolist()
    assert first.tolist() == epoch_order("shuffle", LABELS, LESIONS, GROUPS, generator(0)).tolist()


def test_class_balanced_shows_classes_equally_often():
    source = generator()
    drawn = torch.cat([epoch_order("class_balanced", LABELS, LESIONS, GROUPS, source) for _ in range(300)])
    share = torch.bincount(LABELS[drawn], minlength=3) / len(drawn)
    assert share.tolist() == pytest.approx([1 / 3] * 3, abs=0.012)
    within_class = torch.bincount(drawn, minlength=100)[95:] / (LABELS[drawn] == 2).sum()
    assert within_class.tolist() == pytest.approx([0.2] * 5, abs=0.02)


def test_lesion_shows_one_image_of_each():
    source = generator()
    epochs = [epoch_order("lesion", LABELS, LESIONS, GROUPS, source) for _ in range(400)]
    for rows in epochs[:5]:
        assert len(rows) == 60
        assert sorted(LESIONS[rows].tolist()) == list(range(60))
    frequency = torch.bincount(torch.cat(epochs), minlength=100) / 400
    assert (frequency[80:] == 1).all()  # the only image of its lesion
    assert frequency[:80].tolist() == pytest.approx([0.5] * 80, abs=0.11)  # either of two, about 4 standard errors
    assert len({tuple(LESIONS[rows].tolist()) for rows in epochs[:5]}) == 5  # lesions come in a new order each time


@pytest.mark.parametrize(
    ("name", "first", "checksum"),
    [
        ("shuffle", [44, 19, 93, 90, 71, 69, 37, 95, 53, 91, 81, 42], 237336),
        ("class_balanced", [99, 95, 85, 98, 94, 96, 42, 80, 91, 69, 85, 42], 361799),
        ("lesion", [44, 19, 93, 90, 71, 69, 37, 95, 53, 91, 81, 42], 100242),
    ],
)
def test_orders_are_those_from_before_there_were_groups(name, first, checksum):
    order = epoch_order(name, LABELS, LESIONS, GROUPS, generator())
    assert order[:12].tolist() == first
    assert int((order * torch.arange(1, len(order) + 1)).sum()) == checksum


def test_group_balanced_shows_groups_that_are_present_equally_often():
    source = generator()
    drawn = torch.cat([epoch_order("group_balanced", LABELS, LESIONS, GROUPS, source) for _ in range(300)])
    assert len(drawn) == 300 * len(LABELS)
    share = torch.bincount(GROUPS[drawn], minlength=5) / len(drawn)
    assert share.tolist() == pytest.approx([1 / 3, 0, 1 / 3, 0, 1 / 3], abs=0.012)
    within_group = torch.bincount(drawn[GROUPS[drawn] == 4], minlength=2)[:2] / (GROUPS[drawn] == 4).sum()
    assert within_group.tolist() == pytest.approx([0.5, 0.5], abs=0.02)


def test_an_unknown_sampler_names_the_known():
    with pytest.raises(UserError, match="shuffle, class_balanced, lesion, group_balanced"):
        epoch_order("random", LABELS, LESIONS, GROUPS)
