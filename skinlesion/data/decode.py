"""From the bytes of an image to a square uint8 array, and what can be said of the file."""

import hashlib
import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from skinlesion.data.preprocess import dullrazor, shades_of_gray
from skinlesion.params import PrepareParams

#: Largest image accepted, in pixels: the archive has 600 × 450, ISIC's largest are below 40 million.
MOST_PIXELS = 100_000_000

_JPEG_END = b"\xff\xd9"


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

    Raises:
        OSError: not an image, or a truncated one.
        ValueError: more than MOST_PIXELS pixels.
    """
    try:
        opened = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:  # its own message names the stream's address in memory
        raise OSError("no image of a kind that Pillow knows") from None
    except Image.DecompressionBombError as error:  # neither an OSError nor a ValueError of Pillow's own
        raise ValueError(str(error)) from None
    with opened as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"has {width} × {height} pixels, more than {MOST_PIXELS:,}")
        pixels = _read(image, data)
    pixels = to_square(adjust(pixels, settings), settings.image_size, settings.square)
    return Photograph(pixels, width, height, len(data), hashlib.sha256(data).hexdigest())


def _read(image: Image.Image, data: bytes) -> np.ndarray:
    """Return the pixels (H, W, 3) of an opened image.

    OpenCV reads a JPEG to the same pixels as Pillow in less time, but fills a truncated one with grey. So it gets whole
    ones only, which end as a JPEG ends; anything else is Pillow's, who refuses what is broken.
    """
    if image.format == "JPEG" and image.mode == "RGB" and data.endswith(_JPEG_END):
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        if found is not None:
            return found
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def adjust(pixels: np.ndarray, settings: PrepareParams) -> np.ndarray:
    """Return an image (H, W, 3) uint8 without hairs and without the light's colour, as far as `settings` asks."""
    if settings.hair_removal == "dullrazor":
        pixels = dullrazor(pixels)
    if settings.color_constancy == "shades_of_gray":
        pixels = shades_of_gray(pixels)
    return pixels


def to_square(pixels: np.ndarray, size: int, how: str) -> np.ndarray:
    """Return an image (H, W, 3) uint8 as a square (size, size, 3).

    Args:
        how: "crop" keeps the largest centred square, "squash" everything at another aspect ratio, "pad" everything
            at its own, between black bars.
    """
    height, width = pixels.shape[:2]
    if how == "squash":
        return _resize(pixels, size, size)
    if how == "pad":
        scale = size / max(width, height)
        inner = _resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
        framed = np.zeros((size, size, 3), dtype=np.uint8)
        top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
        framed[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return framed
    side = min(width, height)
    top, left = (height - side) // 2, (width - side) // 2
    return _resize(pixels[top : top + side, left : left + side], size, size)


def _resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image (H, W, 3) at another size: bicubic where it grows, the mean over each pixel's area where it
    shrinks to half or less, and between these smoothed by σ = (factor − 1) / 2 and interpolated, as scikit-image does.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    factor = max(pixels.shape[0] / height, pixels.shape[1] / width)
    method = cv2.INTER_LINEAR
    if factor >= 2:
        method = cv2.INTER_AREA
    elif factor > 1:  # areas are slow where pixels do not fit into them
        pixels = cv2.GaussianBlur(pixels, (0, 0), (factor - 1) / 2)
    else:
        method = cv2.INTER_CUBIC
    resized: np.ndarray = cv2.resize(pixels, (width, height), interpolation=method)
    return resized
