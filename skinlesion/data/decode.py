"""From the bytes of an image to a square uint8 array, and what can be said of the file."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from skinlesion.data.preprocess import dullrazor, shades_of_gray
from skinlesion.params import PrepareParams

#: Largest image accepted, in pixels: the archive has 600 × 450, ISIC's largest are below 40 million.
MOST_PIXELS = 100_000_000


@dataclass(frozen=True)
class Photograph:
    """One prepared image, and its file as the data set delivers it."""

    pixels: np.ndarray  # (S, S, 3) uint8 RGB
    width: int  # of the file's image, in pixels
    height: int
    bytes: int  # length of the file
    sha256: str  # of the file


def decode(data: bytes, settings: PrepareParams) -> Photograph:
    """Return the image in `data` as `settings` wants it: hair, colour, then the square.

    Pillow and not libjpeg-turbo's bindings: it refuses truncated files instead of filling them with grey.

    Raises:
        OSError: not an image, or a truncated one.
        ValueError: more than MOST_PIXELS pixels.
    """
    try:
        opened = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:  # neither an OSError nor a ValueError of Pillow's own
        raise ValueError(str(error)) from None
    with opened as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"has {width} × {height} pixels, more than {MOST_PIXELS:,}")
        rgb = image.convert("RGB")
        if settings.adjusts:
            rgb = Image.fromarray(adjust(np.asarray(rgb), settings))
        pixels = np.asarray(to_square(rgb, settings.image_size, settings.square))
    return Photograph(pixels, width, height, len(data), hashlib.sha256(data).hexdigest())


def adjust(pixels: np.ndarray, settings: PrepareParams) -> np.ndarray:
    """Return an image (H, W, 3) uint8 without hairs and without the light's colour, as far as `settings` asks."""
    if settings.hair_removal == "dullrazor":
        pixels = dullrazor(pixels)
    if settings.color_constancy == "shades_of_gray":
        pixels = shades_of_gray(pixels)
    return pixels


def to_square(image: Image.Image, size: int, how: str) -> Image.Image:
    """Return an image as a square of `size` pixels a side.

    Args:
        how: "crop" keeps the largest centred square, "squash" everything at another aspect ratio, "pad" everything
            at its own, between black bars.
    """
    width, height = image.size
    if (width, height) == (size, size):
        return image
    if how == "squash":
        return image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    if how == "pad":
        scale = size / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        framed = Image.new("RGB", (size, size))
        small = image.resize(inner, Image.Resampling.BICUBIC, reducing_gap=3.0)
        framed.paste(small, ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return framed
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
