"""Decoding: from the bytes of an image file to a uint8 frame, with facts of the file."""

import hashlib
import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from skinlesion.data.frames import frame_size, to_frame
from skinlesion.data.preprocess import dullrazor, shades_of_gray
from skinlesion.params import PrepareParams

#: Largest image accepted, in pixels: the archive has 600 × 450, ISIC's largest are below 40 million.
MOST_PIXELS = 100_000_000

_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class Photograph:
    """A prepared image, with facts of its file as the data set delivers it."""

    pixels: np.ndarray  # (h, w, 3) uint8 RGB, the short side of `prepare.image_size`
    width: int  # of the file's image, in pixels
    height: int
    bytes: int  # length of the file
    sha256: str  # of the file


def decode(data: bytes, settings: PrepareParams) -> Photograph:
    """Return the image in `data` after hair removal and colour constancy, at the size that `settings` ask for.

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
    pixels = to_frame(adjust(pixels, settings), settings.image_size)
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


def frame_of(data: bytes, side: int) -> tuple[int, int]:
    """Return height and width of the frame that `decode` makes of an image, from its header.

    Raises:
        OSError: not an image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return frame_size(*image.size, side)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise OSError("no image of a kind that Pillow knows") from None
