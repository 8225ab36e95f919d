"""Agreement of activation maps with lesion masks: energy inside the mask, and the pointing game.

References:
    [1] Wang H et al. Score-CAM. CVPR Workshops 2020 (energy-based pointing game).
    [2] Zhang J et al. Top-down neural attention by excitation backprop. IJCV 2018 (pointing game).
"""

import numpy as np


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the share (N,) of each map's sum that lies inside its mask, NaN where the map is empty [1].

    Args:
        maps: (N, H, W), not negative.
        masks: (N, H, W) bool.
    """
    total = maps.sum(axis=(1, 2), dtype=float)
    inside = (maps * masks).sum(axis=(1, 2), dtype=float)
    return np.divide(inside, total, out=np.full(len(maps), np.nan), where=total > 0)


def pointing_hit(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return whether (N,) each map's highest pixel lies inside its mask, as 0 or 1; NaN for empty maps [2]."""
    flat = maps.reshape(len(maps), -1)
    hit = masks.reshape(len(masks), -1)[np.arange(len(maps)), flat.argmax(axis=1)].astype(float)
    return np.where(flat.max(axis=1) > 0, hit, np.nan)
