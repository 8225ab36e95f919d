"""Augmentation: exact flips and turns, equal results on bytes and floats, draws within their ranges."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch

from skinlesion.data.augment import (
    D4_SIZE,
    NO_CHANGE,
    PRESETS,
    Augmentation,
    Draw,
    apply_mix,
    augment,
    d4_matrices,
    draw,
    draw_mix,
    make_augmentation,
    view_draw,
)
from skinlesion.params import AugmentParams


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=8, side=32, seed=0):
    """Smooth pictures (B, 3, S, S) uint8, channels last."""
    small = torch.rand(count, 3, 6, 6, generator=generator(seed)) * 255
    large = torch.nn.functional.interpolate(small, (side, side), mode="bicubic").clamp(0, 255)
    return large.to(torch.uint8).contiguous(memory_format=torch.channels_last)


def coloured(brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0, count=8):
    values = (torch.full((count,), value) for value in (brightness, contrast, saturation, hue))
    return Draw(torch.zeros(count, dtype=torch.int64), None, *values)


def test_the_eight_elements_are_numpys_and_all_different():
    images = pictures(1)
    seen = set()
    for element in range(8):
        augmented = augment(images, view_draw(1, element))[0].permute(1, 2, 0).numpy()
        expected = np.rot90(images[0].permute(1, 2, 0).numpy(), element % 4)
        expected = expected[:, ::-1] if element >= 4 else expected
        np.testing.assert_array_equal(augmented, expected)
        seen.add(augmented.tobytes())
    assert len(seen) == 8


def test_an_affine_map_of_an_element_is_that_element():
    images = pictures(8)
    turned = Draw(
        torch.arange(8), torch.cat([d4_matrices(), torch.zeros(8, 2, 1)], dim=2), *[torch.ones(8)] * 3, torch.zeros(8)
    )
    exact = Draw(torch.arange(8), None, *[torch.ones(8)] * 3, torch.zeros(8))
    np.testing.assert_array_equal(augment(images, turned), augment(images, exact))


def test_bytes_are_warped_as_torch_warps_floats():
    """OpenCV on bytes against torch's grid_sample, the form that runs on a GPU."""
    images = pictures()
    drawn = draw(Augmentation(flip=True, rotation=40, scale=(0.8, 1.3), translation=0.1, crop=0.6), 8, generator())
    grid = torch.nn.functional.affine_grid(drawn.theta, list(images.shape), align_corners=False)
    expected = torch.nn.functional.grid_sample(
        images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    augmented = augment(images, drawn)
    assert augmented.dtype == torch.uint8
    assert (augmented.float() - expected).abs().max() <= 1.5


def test_colour_on_bytes_is_colour_on_floats():
    images = pictures()
    augmentation = Augmentation(brightness=0.3, contrast=0.3, saturation=0.4, hue=0.1)
    drawn = draw(augmentation, 8, generator())
    augmented, expected = augment(images, drawn), augment(images.float(), drawn)
    assert augmented.dtype == torch.uint8
    assert (augmented.float() - expected).abs().max() <= 1.0


def test_no_colour_change_changes_nothing():
    images = pictures()
    torch.testing.assert_close(augment(images, coloured()), images)


def test_colour_changes_are_torchvisions():
    from torchvision.transforms.v2 import functional as transforms

    image = pictures(1).float() * 0.5 + 60  # away from black and white, where torchvision cuts off between steps
    for change, expected in (
        ({"brightness": 1.2}, transforms.adjust_brightness(image / 255, 1.2)),
        ({"contrast": 0.7}, transforms.adjust_contrast(image / 255, 0.7)),
        ({"saturation": 1.4}, transforms.adjust_saturation(image / 255, 1.4)),
    ):
        augmented = augment(image, coloured(**change, count=1)) / 255
        # torchvision's grey is 0.2989, 0.587, 0.114: a fourth of a grey level away.
        assert (augmented - expected).abs().max() < 1.5e-3, change


def test_a_hue_rotation_by_120_degrees_makes_red_green():
    red = torch.tensor([200.0, 60.0, 60.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    hue = []
    for turn in (1 / 3, -1 / 3):
        pixel = augment(red, coloured(hue=turn, count=1))[0, :, 0, 0] / 255
        hue.append(colorsys.rgb_to_hsv(*pixel.tolist())[0])
    assert sorted(hue) == pytest.approx([1 / 3, 2 / 3], abs=0.06)  # YIQ's circle is not HSV's, but near it
    grey = torch.full((1, 3, 4, 4), 77.0)
    torch.testing.assert_close(augment(grey, coloured(hue=0.2, count=1)), grey, atol=0.05, rtol=0)


def test_draws_stay_within_their_ranges_and_differ_by_image():
    augmentation = Augmentation(rotation=30, scale=(0.9, 1.1), brightness=0.2, hue=0.05)
    drawn = draw(augmentation, 2000, generator())
    angle = torch.rad2deg(torch.atan2(drawn.theta[:, 1, 0], drawn.theta[:, 0, 0]))
    zoom = 1 / torch.linalg.det(drawn.theta[:, :, :2]).sqrt()
    assert -30 <= angle.min() < -28
    assert 28 < angle.max() <= 30
    assert 0.9 <= zoom.min() < 0.91
    assert 1.09 < zoom.max() <= 1.1001
    assert (drawn.brightness - 1).abs().max() <= 0.2
    assert drawn.hue.abs().max() <= 0.05
    assert (drawn.contrast == 1).all()


def test_either_axis_is_magnified_by_itself_after_the_turn():
    augmentation = Augmentation(rotation=108, flip=True, scale=(0.83, 1.25), scale_by_axis=True)
    linear = draw(augmentation, 2000, generator()).theta[:, :, :2]
    # The columns of the map output → input are what one step across and one step down become.
    zoom_x, zoom_y = (1 / linear.norm(dim=1)).unbind(1)
    for zoom in (zoom_x, zoom_y):
        assert 0.83 - 1e-4 <= zoom.min() < 0.84
        assert 1.24 < zoom.max() <= 1.25 + 1e-4
    assert abs(np.corrcoef(zoom_x, zoom_y)[0, 1]) < 0.1
    torch.testing.assert_close((linear[:, :, 0] * linear[:, :, 1]).sum(1), torch.zeros(2000), atol=1e-5, rtol=0)


def test_changes_that_are_off_draw_nothing_from_the_generator():
    before, after = generator(), generator()
    draw(Augmentation(scale=(0.9, 1.1), contrast=0.1), 4, before)
    draw(Augmentation(scale=(0.9, 1.1), contrast=0.1, contrast_by_channel=True), 4, after)
    assert torch.equal(before.get_state(), after.get_state())


@pytest.mark.parametrize("as_bytes", [True, False])
def test_brightness_is_added_and_contrast_is_about_each_channels_mean(as_bytes):
    """By hand, as Keras' RandomBrightness and RandomContrast: x + s, then the channel's mean + c (x + s − mean)."""
    images = (pictures(2) // 2 + 60).contiguous(memory_format=torch.channels_last)
    drawn = replace(
        coloured(contrast=0.8, count=2), brightness_shift=torch.tensor([30.0, -20.0]), contrast_by_channel=True
    )
    brightened = images.double() + torch.tensor([30.0, -20.0]).view(2, 1, 1, 1)
    mean = brightened.mean(dim=(2, 3), keepdim=True)
    expected = mean + 0.8 * (brightened - mean)
    augmented = augment(images if as_bytes else images.float(), drawn).double()
    assert (augmented - expected).abs().max() <= (0.51 if as_bytes else 0.01)
    alone = augment(images.float(), replace(coloured(count=2), brightness_shift=torch.tensor([30.0, -20.0])))
    torch.testing.assert_close(alone, brightened.float(), atol=0.02, rtol=0)
    about_grey = augment(images.float(), replace(drawn, contrast_by_channel=False)).double()
    assert (about_grey - expected).abs().max() > 1


def test_brightness_is_added_within_its_range():
    drawn = draw(Augmentation(brightness_shift=0.2), 2000, generator())
    assert drawn.recolours
    assert -51 <= drawn.brightness_shift.min() < -50
    assert 50 < drawn.brightness_shift.max() <= 51
    assert drawn[:3].brightness_shift.tolist() == drawn.brightness_shift[:3].tolist()


def test_a_crop_stays_inside_the_image():
    drawn = draw(Augmentation(crop=0.25), 2000, generator())
    corners = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]]).T
    reached = drawn.theta @ corners  # (B, 2, 4)
    assert reached.abs().max() <= 1 + 1e-5
    area = torch.linalg.det(drawn.theta[:, :, :2])
    assert 0.25 <= area.min() < 0.26
    assert area.max() <= 1


def test_flips_alone_do_not_resample():
    assert draw(PRESETS["flips"], 4, generator()).theta is None
    assert not draw(PRESETS["flips"], 4, generator()).recolours
    turns = draw(PRESETS["flips"], 4000, generator()).turns
    assert (torch.bincount(turns) / 4000).tolist() == pytest.approx([1 / 8] * 8, abs=0.02)
    mirrored = draw(Augmentation(flip=True), 4000, generator()).turns
    assert set(mirrored.tolist()) == {0, 2, 4, 6}  # either axis or both, no quarter turns


def test_a_preset_and_what_differs_from_it():
    assert make_augmentation(AugmentParams()) == NO_CHANGE
    changed = make_augmentation(AugmentParams(preset="dermoscopy", rotation=5))
    assert changed.rotation == 5
    assert changed.hue == PRESETS["dermoscopy"].hue
    assert not AugmentParams(preset="flips").is_off
    assert not AugmentParams(rotation=3).is_off
    assert AugmentParams().is_off


def test_mixup_blends_pixels_and_labels_alike():
    images, targets = pictures(16).float(), torch.eye(7)[torch.arange(16) % 7]
    mix = draw_mix(Augmentation(mixup=0.4), 16, generator())
    blended, labels = apply_mix(images, targets, mix)
    torch.testing.assert_close(labels.sum(1), torch.ones(16))
    assert (mix.share >= 0.5).all()  # the first image leads: its metadata stands for the blend
    row = int((mix.partner != torch.arange(16)).nonzero()[0])
    expected = mix.share[row] * images[row] + (1 - mix.share[row]) * images[mix.partner[row]]
    torch.testing.assert_close(blended[row], expected)


def test_cutmix_labels_follow_the_pixels_that_were_kept():
    images = torch.arange(16.0).view(16, 1, 1, 1).expand(16, 3, 32, 32).contiguous()
    targets = torch.eye(16)
    mix = draw_mix(Augmentation(cutmix=1.0), 16, generator())
    blended, labels = apply_mix(images, targets, mix)
    for row in range(16):
        kept = (blended[row, 0] == row).float().mean()
        assert labels[row, row] == pytest.approx(float(kept), abs=1e-6)
        assert labels[row].sum() == pytest.approx(1)
    assert draw_mix(NO_CHANGE, 4, generator()) is None


def test_all_changes_on_bytes_are_those_on_floats():
    images = pictures()
    drawn = draw(PRESETS["dermoscopy"], 8, generator())
    difference = (augment(images, drawn).float() - augment(images.float(), drawn)).abs()
    assert difference.max() <= 2.5  # bytes are rounded after the warp and after the colours
    assert difference.mean() < 0.5


def test_views_of_test_time_augmentation_are_eight_elements_at_each_zoom():
    image = torch.arange(3 * 36 * 36).view(1, 3, 36, 36) % 251
    image = image.to(torch.uint8)
    for view in range(D4_SIZE):
        zoomed = augment(image.float(), view_draw(1, D4_SIZE + view))
        middle = augment(image.float(), view_draw(1, view))[:, :, 6:30, 6:30]  # 24 of 36 pixels: 1 / 1.5
        expected = torch.nn.functional.interpolate(middle, (36, 36), mode="bilinear", align_corners=False)
        inner = slice(3, -3)  # at the edges interpolation looks past the middle
        torch.testing.assert_close(zoomed[..., inner, inner], expected[..., inner, inner], atol=1e-2, rtol=0)
