"""Decoding: from the bytes of an image file to a square uint8 array, with facts of the file."""

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
    """A prepared image, with facts of its file as the data set delivers it."""

    pixels: np.ndarray  # (S, S, 3) uint8 RGB
    width: int  # of the file's image, in pixels
    height: int
    bytes: int  # length of the file
    sha256: str  # of the file


def decode(data: bytes, settings: PrepareParams) -> Photograph:
    """Return the image in `data` after hair removal, colour constancy and the crop to a square, as `settings` asks.

    Raises:
        OSError: not an image, or a truncated one.
        ValueError: more than MOST_PIXELS pixels.
    """
    try:
        opened = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:  # whose message contains a memory address
        raise OSError("no image of a kind that Pillow knows") from None
    except Image.DecompressionBombError as error:  # neither an OSError nor a ValueError
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

    OpenCV decodes a JPEG to the same pixels as Pillow, faster, but fills a truncated one with grey. So it decodes only
    files with a JPEG's end marker; all others go to Pillow, which refuses broken ones.
    """
    if image.format == "JPEG" and image.mode == "RGB" and data.endswith(_JPEG_END):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is not None:
            return pixels
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def adjust(pixels: np.ndarray, settings: PrepareParams) -> np.ndarray:
    """Return an image (H, W, 3) uint8 after the hair removal and colour constancy that `settings` asks for."""
    if settings.hair_removal == "dullrazor":
        pixels = dullrazor(pixels)
    if settings.color_constancy == "shades_of_gray":
        pixels = shades_of_gray(pixels)
    return pixels


def to_square(pixels: np.ndarray, size: int, how: str) -> np.ndarray:
    """Return an image (H, W, 3) uint8 as a square (size, size, 3).

    Args:
        how: "crop" takes the largest centred square, "squash" changes the aspect ratio, "pad" keeps it and adds black
            bars.
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
    """Return an image (H, W, 3) at another size: bicubic when enlarged, area means when reduced to half or less, and
    between these smoothed with σ = (factor − 1) / 2 and interpolated bilinearly, as scikit-image does.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    factor = max(pixels.shape[0] / height, pixels.shape[1] / width)
    method = cv2.INTER_LINEAR
    if factor >= 2:
        method = cv2.INTER_AREA
    elif factor > 1:  # area means are slow at non-integer factors
        pixels = cv2.GaussianBlur(pixels, (0, 0), (factor - 1) / 2)
    else:
        method = cv2.INTER_CUBIC
    resized: np.ndarray = cv2.resize(pixels, (width, height), interpolation=method)
    return resized
