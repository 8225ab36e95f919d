"""Pictures of activation maps: a photograph beside the same photograph under its map."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from skinlesion.outputs import first_bytes

#: The text inside a picture that tells it from photographs, as PNG writes it.
_MARK = ("Software", "skinlesion, where a model looks")
_MARK_WITHIN = 200  # bytes from the beginning of the file

_ALPHA = 0.45  # weight of the map's colours laid over a photograph


def photograph_with_map(photograph: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """Return a photograph (S, S, 3) uint8 and, to its right, the same under its map (s, s) in 0..1: (S, 2S, 3)."""
    side = photograph.shape[0]
    large = cv2.resize(np.asarray(activation, dtype=np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    colours = cv2.cvtColor(
        cv2.applyColorMap(np.asarray(255 * np.clip(large, 0, 1), dtype=np.uint8), cv2.COLORMAP_VIRIDIS),
        cv2.COLOR_BGR2RGB,
    )
    mixed = (1 - _ALPHA) * photograph + _ALPHA * colours
    return np.hstack([photograph, mixed.round().astype(np.uint8)])


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture as PNG with the mark that `is_picture` looks for."""
    info = PngInfo()
    info.add_text(*_MARK)
    Image.fromarray(picture).save(path, format="PNG", pnginfo=info)


def is_picture(path: Path) -> bool:
    """Return whether a file was written by `save_picture`."""
    name, value = _MARK
    return f"tEXt{name}\0{value}".encode() in first_bytes(path, _MARK_WITHIN)
