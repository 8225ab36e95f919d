"""Decoding: from the bytes of an image file to a uint8 frame, with facts of the file."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from skinlesion.data.frames import frame_size, to_frame
from skinlesion.data.jpeg import read_jpeg
from skinlesion.data.preprocess import dullrazor, shades_of_gray
from skinlesion.params import PrepareParams

#: Largest image accepted, in pixels: the archive has 600 × 450, ISIC's largest are below 40 million.
MOST_PIXELS = 50_000_000

#: Pillow knows many more formats, among them some that call other programs, and none in which photographs come.
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000")
_STEREO = "MPO"  # what Pillow calls a JPEG with further pictures behind it, as telephones write

#: Modes of 8 bits or fewer. Pillow cuts values of more at white, and takes fractions for black.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")

Image.MAX_IMAGE_PIXELS = None  # it would warn in between: the size is checked here, before any pixel is decoded


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
        OSError: not an image, a truncated or damaged one, an animation, or one whose values are not 8 bits.
        ValueError: more than MOST_PIXELS pixels.
    """
    with _opened(data) as image:
        width, height = image.size
        pixels = _read(image, data)
    pixels = to_frame(adjust(pixels, settings), settings.image_size)
    return Photograph(pixels, width, height, len(data), hashlib.sha256(data).hexdigest())


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Yield an image whose header was read and checked; whatever Pillow raises from here on is an OSError.

    Raises:
        OSError, ValueError: as `decode`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"has {width} × {height} = {width * height} pixels, more than {MOST_PIXELS:,}")
            if width < 1 or height < 1:
                raise OSError("has no pixels")
            if image.mode not in _MODES:
                raise OSError(f"holds {image.mode} values, not 8 bits each; convert it to 8-bit RGB")
            if image.format != _STEREO and getattr(image, "is_animated", False):
                raise OSError("has several pictures in one file; give one by itself")
            yield image
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error, UnidentifiedImageError):  # whose message contains a memory address
            raise OSError("no image of a kind that Pillow knows") from None
        raise
    except ImportError:  # of the decoder: no fault of the file
        raise
    except Exception as error:  # its readers raise a dozen others on damaged files: SyntaxError, struct.error, …
        raise OSError(f"damaged ({type(error).__name__}: {error})") from None


def _read(image: Image.Image, data: bytes) -> np.ndarray:
    """Return the pixels (H, W, 3) of an opened image."""
    if image.format == "PNG":
        with Image.open(io.BytesIO(data), formats=["PNG"]) as whole:
            whole.verify()  # the checksums of its chunks, which loading leaves out
    if image.format in ("JPEG", _STEREO):
        pixels = read_jpeg(data, image.mode)
        if pixels is not None:
            return pixels
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
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
        OSError, ValueError: as `decode`, for what the header tells.
    """
    with _opened(data) as image:
        return frame_size(*image.size, side)
