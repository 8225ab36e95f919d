"""Frames: photographs as `prepare` keeps them, and the squares that an experiment makes of them.

`prepare` brings every photograph to one length of its short side and keeps the rest of the frame. In images.npy all
frames lie at the top left of a common canvas, black beyond. Cropping cuts a frame and resizes nothing; squashing and
padding resize it once, straight to the side that the network sees.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

#: A longer frame is cut to this many short sides: a panorama shows no more of a lesion.
MOST_ASPECT = 2.0

#: Ways to squash → the interpolation that replaces the antialiased one.
_SQUASHES = {"squash": "", "squash_bilinear": "bilinear", "squash_bicubic": "bicubic"}


def frame_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Return height and width of the frame that `prepare` keeps of a photograph: its short side becomes `side`."""
    short, long = min(width, height), max(width, height)
    length = max(side, round(min(long / short, MOST_ASPECT) * side))
    return (side, length) if width >= height else (length, side)


def frame_sizes(files: pd.DataFrame, side: int) -> np.ndarray:
    """Return height and width (N, 2) of the frames of files.csv's photographs."""
    sizes = [frame_size(*pair, side) for pair in zip(files["width"], files["height"], strict=True)]
    return np.array(sizes, dtype=np.int64).reshape(-1, 2)


def to_frame(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return an image (H, W, 3) uint8 as the frame that `prepare` keeps."""
    height, width = pixels.shape[:2]
    most = round(MOST_ASPECT * min(height, width))
    cut = _centre(pixels, min(height, most), min(width, most))
    return resize(cut, *frame_size(width, height, side))


def to_square(frame: np.ndarray, how: str, side: int | None = None) -> np.ndarray:
    """Return a frame (h, w, 3) uint8 as a square.

    Args:
        how: "crop" cuts out the largest centred square, "squash" changes the aspect ratio, "pad" keeps it and adds
            black bars. "squash_bilinear" and "squash_bicubic" do not smooth before they reduce, as TensorFlow does not
            by default (its cubic kernel has a = −0.5, OpenCV's −0.75).
        side: of a squashed or padded square, else the frame's short side, as of a cropped one.
    """
    height, width = frame.shape[:2]
    short = min(height, width)
    if how == "crop":
        return _centre(frame, short, short)
    side = side or short
    if how in _SQUASHES:
        return resize(frame, side, side, _SQUASHES[how])
    scale = side / max(width, height)
    inner = resize(frame, max(1, round(height * scale)), max(1, round(width * scale)))
    framed = np.zeros((side, side, 3), dtype=np.uint8)
    top, left = (side - inner.shape[0]) // 2, (side - inner.shape[1]) // 2
    framed[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return framed


def resize(pixels: np.ndarray, height: int, width: int, plainly: str = "") -> np.ndarray:
    """Return an image (H, W, 3) at another size: bicubic when enlarged, area means when reduced to half or less, and
    between these smoothed with σ = (factor − 1) / 2 and interpolated bilinearly, as scikit-image does.

    Args:
        plainly: "bilinear" or "bicubic" interpolates so at any factor, without smoothing.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    import cv2  # here: to read prepared images, or their sizes, needs no OpenCV

    factors = pixels.shape[0] / height, pixels.shape[1] / width
    method = cv2.INTER_LINEAR
    if plainly:
        method = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}[plainly]
    elif min(factors) >= 2:
        method = cv2.INTER_AREA
    elif max(factors) > 1:  # area means are slow at non-integer factors
        down, across = ((max(factor, 1) - 1) / 2 for factor in factors)
        pixels = cv2.GaussianBlur(pixels, (0, 0), max(across, 1e-3), sigmaY=max(down, 1e-3))
    else:
        method = cv2.INTER_CUBIC
    resized: np.ndarray = cv2.resize(pixels, (width, height), interpolation=method)
    return resized


def _centre(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


class SquareImages:
    """Prepared frames seen as an array of squares (N, S, S, 3) uint8, made when they are asked for."""

    def __init__(self, frames: np.ndarray, sizes: np.ndarray, how: str, side: int | None = None) -> None:
        """Take frames (N, H, W, 3) and their sizes (N, 2); `how` and `side` are those of `to_square`."""
        self._frames, self._sizes, self._how = frames, sizes, how
        short = int(sizes.min())
        self.side = short if how == "crop" else side or short

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self._frames), self.side, self.side, 3)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return one square (S, S, 3), or those of a slice or of an array of rows (B, S, S, 3)."""
        if isinstance(rows, int | np.integer):
            return self._square(int(rows))
        places = np.arange(len(self))[rows]
        squares = np.empty((len(places), *self.shape[1:]), dtype=np.uint8)
        for place, row in enumerate(places):
            squares[place] = self._square(row)
        return squares

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._square(row) for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.uint8, copy=False)

    def _square(self, row: int) -> np.ndarray:
        height, width = self._sizes[row]
        return to_square(self._frames[row, :height, :width], self._how, self.side)
