"""Pictures of activation maps: a photograph beside the same photograph under its map."""

import cv2
import numpy as np

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
