"""Optional preprocessing of dermoscopic images: colour constancy (Shades of Gray) and hair removal (DullRazor)."""

import cv2
import numpy as np

_NORM = 6  # the Minkowski norm p
_HAIR_SHADE = 10  # how much darker than its surroundings a hair is, in grey levels
_INPAINT_RADIUS = 6


def shades_of_gray(image: np.ndarray, norm: int = _NORM) -> np.ndarray:
    """Return an image (H, W, 3) uint8 corrected for the colour of the light (Finlayson & Trezzi, CIC 2004).

    The colour of the light is estimated by the Minkowski mean e_c = mean(I_c^p)^(1/p), scaled to unit length; channel c
    is multiplied by 1 / (e_c √3) and clipped. Under grey light nothing changes; an all-black channel stays black.
    """
    # Powers of the 256 possible values instead of every pixel; values scaled to 0 to 1 keep them small.
    powers = np.linspace(0, 1, 256) ** norm
    counts = [np.bincount(image[:, :, channel].ravel(), minlength=256) for channel in range(3)]
    light = np.array([(count @ powers / count.sum()) ** (1 / norm) for count in counts])
    length = np.linalg.norm(light)
    if length == 0:
        return image.copy()
    gains = np.divide(length, light * np.sqrt(3), out=np.ones(3), where=light > 0)
    table = np.clip(np.round(np.arange(256)[:, None] * gains), 0, 255).astype(np.uint8)  # (256, 3)
    return np.stack([table[image[:, :, channel], channel] for channel in range(3)], axis=2)


def dullrazor(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) uint8 with dark hairs inpainted, by the OpenCV variant of DullRazor
    (Lee et al., Computers in Biology and Medicine 27, 1997).

    Grey → black-hat with a 9 × 9 kernel → Gaussian 3 × 3 → threshold 10 → inpainting (Telea, radius 6). The sizes
    suit images of about 600 × 450 pixels, so it runs before resizing.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (9, 9))
    hat = cv2.GaussianBlur(cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel), (3, 3), 0)
    _, hairs = cv2.threshold(hat, _HAIR_SHADE, 255, cv2.THRESH_BINARY)
    inpainted: np.ndarray = cv2.inpaint(image, hairs, _INPAINT_RADIUS, cv2.INPAINT_TELEA)
    return inpainted
