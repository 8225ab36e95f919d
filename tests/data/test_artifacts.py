"""Drawn artefacts: the same for the same generator, on the share of images asked for, dark or bright as they should."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from skinlesion.data.artifacts import BUBBLES, HAIRS, RULER, Artifacts, add_artifacts, draw_artifacts
from skinlesion.data.augment import NO_CHANGE, PRESETS, Augmentation, augment, draw, make_augmentation
from skinlesion.params import AugmentParams


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=8, side=64):
    """Noise of all values (B, 3, S, S) uint8, channels last."""
    values = torch.randint(256, (count, 3, side, side), generator=generator(1), dtype=torch.uint8)
    return values.contiguous(memory_format=torch.channels_last)


def drawn_alone(kind, count=8, seed=0):
    artifacts = draw_artifacts(1.0, count, generator(seed))
    return replace(artifacts, kinds=torch.full((count,), kind))


def test_without_artefacts_draws_and_the_generator_are_what_they_were_before_there_were_any():
    """Values recorded before `artifacts` existed."""
    source = generator(7)
    drawn = draw(PRESETS["dermoscopy"], 3, source)
    assert drawn.artifacts is None
    assert drawn.turns.tolist() == [5, 2, 5]
    first = [0.5252459049224854, -0.8533027172088623, -0.017365455627441406]
    assert drawn.theta[0, 0].tolist() == pytest.approx(first, abs=1e-6)
    assert drawn.hue.tolist() == [-0.012189674191176891, 0.00962095893919468, -0.009884802624583244]
    assert torch.rand(2, generator=source).tolist() == [0.23315048217773438, 0.9314137697219849]


def test_artefacts_change_no_other_draw():
    plain = draw(PRESETS["dermoscopy"], 16, generator())
    marked = draw(replace(PRESETS["dermoscopy"], artifacts=0.5), 16, generator())
    for name in ("turns", "theta", "brightness", "contrast", "saturation", "hue"):
        assert torch.equal(getattr(plain, name), getattr(marked, name)), name
    without = marked.artifacts.kinds == 0
    images = pictures(16)
    assert 0 < without.sum() < 16
    assert torch.equal(augment(images, plain)[without], augment(images, marked)[without])


def test_the_same_generator_draws_the_same_artefacts():
    images, augmentation = pictures(), Augmentation(artifacts=1.0)
    first, second, third = (augment(images, draw(augmentation, 8, generator(seed))) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_the_share_of_images_changed_is_the_probability(probability):
    images = torch.full((2000, 3, 32, 32), 128, dtype=torch.uint8)
    changed = augment(images, draw(Augmentation(artifacts=probability), 2000, generator()))
    share = (changed != images).flatten(1).any(1).float().mean()
    # A curve may lie outside the image; 0.04 is four standard errors of 0.3.
    assert float(share) == pytest.approx(probability, abs=0.0 if probability == 0 else 0.04)


@pytest.mark.parametrize("kind", [HAIRS, RULER])
def test_a_hair_and_a_tick_are_darker_than_what_they_cover(kind):
    images = pictures()
    marked = add_artifacts(images, drawn_alone(kind))
    assert (marked <= images).all()
    covered = marked != images
    assert covered.flatten(1).any(1).all()
    light = torch.full_like(images, 200)
    assert (add_artifacts(light, drawn_alone(kind)).flatten(1).amin(1) < 120).all()
    assert covered.float().mean() < 0.35  # lines, not areas


def test_a_bubble_is_brighter_than_what_it_covers_and_soft():
    images = torch.full((8, 3, 96, 96), 100.0)
    marked = add_artifacts(images, drawn_alone(BUBBLES))
    assert (marked >= images).all()
    assert (marked.flatten(1).amax(1) > 110).all()
    assert (marked[:, :, 1:] - marked[:, :, :-1]).abs().max() < 120


def test_values_stay_within_bytes_and_bytes_are_rounded_floats():
    images = pictures()
    drawn = draw_artifacts(1.0, 8, generator())
    floats, whole = add_artifacts(images.float(), drawn), add_artifacts(images, drawn)
    assert whole.dtype == torch.uint8
    assert floats.dtype == torch.float32
    assert floats.min() >= 0
    assert floats.max() <= 255
    assert torch.equal(floats.round().to(torch.uint8), whole)


def test_images_given_are_left_alone_and_so_are_those_not_chosen():
    images = pictures()
    before = images.clone()
    drawn = draw_artifacts(1.0, 8, generator())
    half = replace(drawn, kinds=drawn.kinds * (torch.arange(8) % 2))
    marked = add_artifacts(images, half)
    assert torch.equal(images, before)
    assert torch.equal(marked[::2], before[::2])
    assert torch.equal(add_artifacts(images[1::2], drawn[torch.arange(1, 8, 2)]), marked[1::2])


def test_every_kind_and_number_occurs():
    drawn = draw_artifacts(1.0, 7000, generator())
    assert (torch.bincount(drawn.kinds, minlength=8) / 7000).tolist() == pytest.approx([0] + [1 / 7] * 7, abs=0.02)
    assert isinstance(drawn[:3], Artifacts)
    assert len(drawn[:3].hairs) == 3


def test_the_field_is_a_probability():
    assert make_augmentation(AugmentParams(preset="flips", artifacts=0.25)).artifacts == 0.25
    assert make_augmentation(AugmentParams(artifacts=0.0)) == NO_CHANGE
    assert AugmentParams(artifacts=0.0).is_off
    assert not AugmentParams(artifacts=0.1).is_off
    with pytest.raises(ValidationError, match="artifacts"):
        AugmentParams(artifacts=1.5)


@pytest.mark.gpu
def test_bytes_on_a_gpu_become_the_same_picture():
    images = pictures()
    drawn = draw_artifacts(1.0, 8, generator())
    marked = add_artifacts(images.cuda(), drawn).cpu().numpy()
    np.testing.assert_allclose(marked, add_artifacts(images, drawn).numpy(), atol=0.51)
