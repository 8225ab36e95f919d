"""Decoding and preprocessing: colour constancy, hair removal."""

import io

import numpy as np
import pytest
from PIL import Image

from skinlesion.data.decode import adjust, decode
from skinlesion.data.preprocess import dullrazor, shades_of_gray
from skinlesion.params import PrepareParams
from tests.archive import jpeg


def photo(seed=0, size=(60, 45)):
    rng = np.random.default_rng(seed)
    return rng.integers(60, 200, (size[1], size[0], 3), dtype=np.uint8)


def by_the_formula(image, norm=6):
    """Shades of Gray as it is written down, pixel by pixel in floating point."""
    values = image.astype(float) / 255
    light = (values**norm).mean(axis=(0, 1)) ** (1 / norm)
    light /= np.linalg.norm(light)
    return np.clip(np.round(values / (light * np.sqrt(3)) * 255), 0, 255).astype(np.uint8)


def test_shades_of_gray_is_the_published_formula():
    image = photo() // np.array([1, 2, 3], dtype=np.uint8)
    corrected = shades_of_gray(image)
    assert np.abs(corrected.astype(int) - by_the_formula(image)).max() <= 1
    # Two pixels by hand: channel means to the sixth power of 200 and 100 … the gains are 1/√3 over each share.
    plain = np.full((4, 4, 3), (200, 100, 100), dtype=np.uint8)
    grey = np.sqrt((200**2 + 2 * 100**2) / 3)
    np.testing.assert_array_equal(shades_of_gray(plain), np.full((4, 4, 3), round(grey), dtype=np.uint8))


def test_shades_of_gray_leaves_grey_light_and_black_alone():
    grey = np.repeat(photo()[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(shades_of_gray(grey), grey)
    black = np.zeros((5, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shades_of_gray(black), black)
    red = black.copy()
    red[..., 0] = 90
    assert shades_of_gray(red)[..., 1:].max() == 0


def test_dullrazor_removes_dark_hairs_and_keeps_skin_and_lesion():
    skin = np.full((120, 160, 3), (205, 160, 140), dtype=np.uint8)
    rows, columns = np.ogrid[:120, :160]
    skin[(rows - 60) ** 2 + (columns - 110) ** 2 < 25**2] = (90, 60, 50)  # a lesion, much wider than a hair
    with_hair = skin.copy()
    with_hair[:, 30:32] = (30, 20, 20)
    with_hair[20:22, :] = (30, 20, 20)
    without_hair = dullrazor(with_hair)
    assert np.abs(without_hair.astype(int) - skin)[:, 25:37].max() <= 12
    lesion = (rows - 60) ** 2 + (columns - 110) ** 2 < 18**2
    np.testing.assert_array_equal(without_hair[lesion], skin[lesion])
    np.testing.assert_array_equal(dullrazor(skin)[:20, :20], skin[:20, :20])


def test_adjusting_is_off_by_default_and_hair_comes_first():
    image = photo()
    np.testing.assert_array_equal(adjust(image, PrepareParams()), image)
    both = PrepareParams(hair_removal="dullrazor", color_constancy="shades_of_gray")
    np.testing.assert_array_equal(adjust(image, both), shades_of_gray(dullrazor(image)))


def test_whole_jpegs_give_pillows_pixels_and_facts_of_the_file():
    data = jpeg(3, size=(45, 45))
    decoded = decode(data, PrepareParams(image_size=45))
    np.testing.assert_array_equal(decoded.pixels, np.asarray(Image.open(io.BytesIO(data))))
    assert (decoded.width, decoded.height, decoded.bytes) == (45, 45, len(data))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_other_modes_become_rgb(mode):
    stream = io.BytesIO()
    kind = "PNG" if mode in ("RGBA", "P") else "JPEG"
    Image.fromarray(photo(size=(45, 45))).convert(mode).save(stream, kind)
    decoded = decode(stream.getvalue(), PrepareParams(image_size=45)).pixels
    with Image.open(io.BytesIO(stream.getvalue())) as image:
        np.testing.assert_array_equal(decoded, np.asarray(image.convert("RGB")))


def test_a_turned_photograph_is_not_turned_back():
    """Masks and coordinates speak of the pixels as they are stored."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    stream = io.BytesIO()
    Image.fromarray(photo(size=(60, 45))).save(stream, "JPEG", exif=exif)
    decoded = decode(stream.getvalue(), PrepareParams(image_size=45))
    assert (decoded.width, decoded.height) == (60, 45)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(Image.open(io.BytesIO(stream.getvalue()))))
