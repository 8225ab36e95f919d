"""Artefacts of dermoscopy drawn onto training images: hairs, the marks of a ruler, and bubbles of the gel.

A model may take what lies in the picture by chance for a sign of the diagnosis. Artefacts put into random training
images, whatever their class, loosen that tie [1]; hairs, rulers and gel bubbles are among the seven kinds annotated in
[2].

Everything random is drawn for a whole batch on the CPU. OpenCV draws each image's artefacts into two small masks of
bytes, how much they darken and how much they brighten; the pixels under them are blended on whatever device they lie.

References:
    [1] Mikołajczyk-Bareła, Ferlin & Grochowski, Targeted data augmentation for improving model robustness,
        International Journal of Applied Mathematics and Computer Science 35 (1), 143–155, 2025: inserts rulers and
        frames.
    [2] Bissoto, Valle & Avila, Debiasing skin lesion datasets and models? Not so fast, CVPR workshops, 2020.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch

HAIRS, RULER, BUBBLES = 1, 2, 4  # bits of `Artifacts.kinds`
_ALL = HAIRS | RULER | BUBBLES

_MOST_HAIRS = 10
_MOST_BUBBLES = 8
#: Share of red, green and blue that a wholly dark mark takes away: the rest is the brown of a hair.
_DARK = (0.88, 0.93, 0.95)
#: Bits of a pixel's fraction in coordinates given to OpenCV.
_SHIFT = 4


@dataclass(frozen=True)
class Artifacts:
    """What is drawn onto each image of a batch. All tensors are on the CPU; all but `kinds` are uniform in [0, 1)."""

    kinds: torch.Tensor  # (B,) int64, a sum of HAIRS, RULER and BUBBLES; 0 leaves the image as it is
    counts: torch.Tensor  # (B, 2) how many hairs and bubbles
    hairs: torch.Tensor  # (B, most, 7) centre (x, y), angle, length, bend, width, darkness
    ruler: torch.Tensor  # (B, 7) edge, distance from it, gap, first tick, length, tilt, darkness
    bubbles: torch.Tensor  # (B, most, 6) centre (x, y), radius, roundness, angle, brightness

    def __getitem__(self, rows: slice | torch.Tensor) -> "Artifacts":
        return Artifacts(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw_artifacts(probability: float, count: int, generator: torch.Generator) -> Artifacts:
    """Return artefacts for `count` images, each of which has some with this probability.

    An image with artefacts has one, two or all three of the kinds: each of the seven choices is equally likely.
    """

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(count, *shape, generator=generator)

    chosen = uniform() < probability
    kinds = torch.randint(1, _ALL + 1, (count,), generator=generator) * chosen
    return Artifacts(kinds, uniform(2), uniform(_MOST_HAIRS, 7), uniform(7), uniform(_MOST_BUBBLES, 6))


def add_artifacts(pixels: torch.Tensor, drawn: Artifacts) -> torch.Tensor:
    """Return `pixels` (B, 3, S, S) in 0 to 255 with the artefacts drawn; images without any are left as they are.

    uint8 stays uint8 on the CPU, rounded; on a GPU bytes become float.
    """
    rows = torch.nonzero(drawn.kinds).flatten()
    if not len(rows):
        return pixels
    masks = _masks(drawn[rows], pixels.shape[-1])
    image, y, x = np.nonzero(masks.any(axis=1))  # artefacts cover a small part of the pixels: the others are not read
    dark, bright = torch.from_numpy(masks[image, :, y, x]).to(pixels.device).float().div(255).split(1, dim=1)  # (P, 1)
    where = [place.to(pixels.device) for place in (rows[image], torch.from_numpy(y), torch.from_numpy(x))]
    on_cpu = pixels.device.type == "cpu"
    out = pixels.clone(memory_format=torch.preserve_format) if on_cpu else pixels.to(torch.float32, copy=True)
    covered = out[where[0], :, where[1], where[2]].float()  # (P, 3)
    covered = covered * (1 - dark * torch.tensor(_DARK, device=pixels.device))
    covered = covered + (255 - covered) * bright
    covered = covered if out.is_floating_point() else covered.round()
    out[where[0], :, where[1], where[2]] = covered.to(out.dtype)
    return out


def _masks(drawn: Artifacts, side: int) -> np.ndarray:
    """Return how much the artefacts darken and brighten each pixel, (B, 2, side, side) uint8; 255 is wholly."""
    masks = np.zeros((len(drawn.kinds), 2, side, side), np.uint8)
    kinds, counts = drawn.kinds.tolist(), drawn.counts.double().numpy()
    hairs, ruler, bubbles = (values.double().numpy() for values in (drawn.hairs, drawn.ruler, drawn.bubbles))
    for row, kind in enumerate(kinds):
        dark, bright = masks[row]
        if kind & HAIRS:
            _draw_hairs(dark, hairs[row, : 1 + int(counts[row, 0] * _MOST_HAIRS)])
        if kind & RULER:
            _draw_ruler(dark, *ruler[row])
        if kind & BUBBLES:
            _draw_bubbles(bright, bubbles[row, : 1 + int(counts[row, 1] * _MOST_BUBBLES)])
    return masks


def _draw_hairs(dark: np.ndarray, hairs: np.ndarray) -> None:
    """Draw quadratic Bézier curves with their centres anywhere in the image."""
    import cv2  # imported here, as in data/augment.py: most commands draw nothing

    side = len(dark)
    step = np.linspace(0, 1, 17)[:, None]
    for x, y, angle, length, bend, width, darkness in hairs:
        along = (0.2 + 0.9 * length) * np.array([math.cos(math.pi * angle), math.sin(math.pi * angle)])
        across = 0.5 * (2 * bend - 1) * np.array([-along[1], along[0]])  # no sharper than a quarter of the length
        centre = np.array([x, y])
        first, middle, last = centre - along / 2, centre + across, centre + along / 2
        curve = (1 - step) ** 2 * first + 2 * step * (1 - step) * middle + step**2 * last
        thickness = max(1, round(side * (0.003 + 0.007 * width)))
        shade = round(255 * (0.5 + 0.4 * darkness))
        cv2.polylines(dark, [_fixed(side * curve)], False, shade, thickness, cv2.LINE_AA, _SHIFT)


def _draw_ruler(
    dark: np.ndarray,
    edge: float,
    distance: float,
    gap: float,
    first: float,
    length: float,
    tilt: float,
    darkness: float,
) -> None:
    """Draw ticks along an edge of the image, every fifth longer and every tenth longer still."""
    import cv2

    side = len(dark)
    gap, length, distance = 0.025 + 0.03 * gap, 0.02 + 0.02 * length, 0.10 * distance
    width, shade = max(1, round(side * 0.005)), round(255 * (0.5 + 0.45 * darkness))
    angle = math.pi / 2 * int(4 * edge) + math.radians(8 * (2 * tilt - 1))  # which edge, and up to 8° askew
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    for number in range(-2, int(1.2 / gap) + 1):
        x = (number + first) * gap
        reach = length * (2.0 if number % 10 == 0 else 1.5 if number % 5 == 0 else 1.0)
        ends = (np.array([[x, distance], [x, distance + reach]]) - 0.5) @ turn.T + 0.5
        cv2.polylines(dark, [_fixed(side * ends)], False, shade, width, cv2.LINE_AA, _SHIFT)


def _draw_bubbles(bright: np.ndarray, bubbles: np.ndarray) -> None:
    """Draw rings with a soft edge, faintly bright inside."""
    import cv2

    side = len(bright)
    for x, y, radius, roundness, angle, brightness in bubbles:
        radius = side * (0.012 + 0.05 * radius**2)  # small ones are more frequent
        axes = radius * np.array([1.0, 0.75 + 0.25 * roundness])
        ring, inside = round(255 * (0.25 + 0.45 * brightness)), round(255 * 0.15 * brightness)
        centre, half = _fixed(side * np.array([x, y])).tolist(), _fixed(axes).tolist()
        for shade, width in ((inside, -1), (ring, max(1, round(0.18 * radius)))):
            cv2.ellipse(bright, centre, half, 180 * angle, 0, 360, shade, width, cv2.LINE_AA, _SHIFT)
    bright[:] = cv2.GaussianBlur(bright, (0, 0), max(0.5, 0.005 * side))


def _fixed(points: np.ndarray) -> np.ndarray:
    """Return coordinates in pixels as OpenCV's whole numbers with _SHIFT bits of fraction."""
    whole: np.ndarray = np.round(points * (1 << _SHIFT)).astype(np.int32)
    return whole
