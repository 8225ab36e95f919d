"""From the bytes of an image to a square uint8 array."""

import io

import numpy as np
from PIL import Image

#: Largest image accepted, in pixels: the archive has 600 × 450, ISIC's largest are below 40 million.
MOST_PIXELS = 100_000_000


def decode_square(data: bytes, size: int) -> np.ndarray:
    """Return the largest centred square of an image, resized to (size, size, 3) uint8 RGB.

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
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        rgb = image.convert("RGB")
        if (width, height) != (size, size):
            box = (left, top, left + side, top + side)
            rgb = rgb.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
        return np.asarray(rgb)
