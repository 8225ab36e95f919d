"""Images of the phantom: dermoscopy-like drawings from two seeds.

The seed of the lesion determines what its images share (shape, colours, structures, skin), so a split by image leaks.
The seed of the image determines the acquisition (rotation, shift, zoom, light, hairs, ruler, noise). Classes differ in
the distributions below, which overlap: no single feature separates them.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

_ANGLES = 512  # steps of the border's outline


@dataclass(frozen=True)
class Look:
    """Mean appearance of a class: strengths in 0 to 1, expected counts of structures, RGB colours in 0 to 1."""

    colour: tuple[float, float, float]
    second: tuple[float, float, float]
    radius: float
    irregularity: float
    sharpness: float
    variegation: float
    network: float
    globules: float
    globule_colour: tuple[float, float, float]
    vessels: float
    veil: float
    scale: float
    centre: float


LOOKS = {
    "akiec": Look((0.70, 0.45, 0.37), (0.62, 0.36, 0.28), 0.50, 0.10, 7, 0.25, 0.08, 2, (0.55, 0.40, 0.33), 3, 0.03, 0.40, 0.05),
    "bcc": Look((0.69, 0.46, 0.40), (0.50, 0.38, 0.36), 0.46, 0.09, 9, 0.25, 0.06, 4, (0.36, 0.34, 0.40), 5, 0.10, 0.12, 0.05),
    "bkl": Look((0.56, 0.42, 0.31), (0.46, 0.32, 0.22), 0.52, 0.08, 16, 0.28, 0.18, 6, (0.80, 0.70, 0.56), 1, 0.05, 0.22, 0.05),
    "df": Look((0.60, 0.44, 0.35), (0.52, 0.36, 0.27), 0.38, 0.05, 7, 0.18, 0.26, 1, (0.50, 0.36, 0.28), 1, 0.02, 0.05, 0.42),
    "mel": Look((0.43, 0.30, 0.24), (0.26, 0.19, 0.19), 0.58, 0.15, 12, 0.48, 0.32, 4, (0.24, 0.17, 0.16), 2, 0.32, 0.08, 0.06),
    "nv": Look((0.50, 0.35, 0.26), (0.40, 0.26, 0.18), 0.45, 0.06, 10, 0.24, 0.34, 3, (0.34, 0.22, 0.15), 0.5, 0.06, 0.05, 0.04),
    "vasc": Look((0.58, 0.26, 0.27), (0.44, 0.16, 0.24), 0.42, 0.06, 13, 0.28, 0.05, 7, (0.45, 0.10, 0.18), 1, 0.12, 0.06, 0.04),
}  # fmt: skip


@cache
def _grid(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and radius (S, S) with x, y in −1 to 1, and the step of the outline (S, S) at each pixel's angle."""
    line = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(line, line)
    step = (np.arctan2(y, x) / (2 * np.pi) % 1 * _ANGLES).astype(np.intp) % _ANGLES
    return x, y, np.hypot(x, y), step


def _clouds(rng: np.random.Generator, cells: int, size: int) -> np.ndarray:
    """Return smooth noise (S, S) of about unit variance, interpolated from `cells` × `cells` values."""
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def draw(dx: str, size: int, lesion_seed: tuple[int, ...], image_seed: tuple[int, ...]) -> np.ndarray:
    """Return one image (size, size, 3) uint8, deterministic in the seeds and the size."""
    lesion_rng, image_rng = np.random.default_rng(lesion_seed), np.random.default_rng(image_seed)
    skin = np.array([0.80, 0.62, 0.54]) + lesion_rng.normal(0, 0.035) + lesion_rng.normal(0, 0.015, 3)
    layer = _lesion(LOOKS[dx], size, lesion_rng)
    return _photograph(layer, skin, size, image_rng)


def _lesion(look: Look, size: int, rng: np.random.Generator) -> Image.Image:
    """Return the lesion alone as RGBA, centred and upright."""
    x, y, radius, step = _grid(size)

    def jitter(mean: float, spread: float = 0.35) -> float:
        return float(max(0.0, mean * rng.normal(1, spread) + rng.normal(0, 0.03)))

    # Border: a few harmonics of the angle on an ellipse.
    angle = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    outline = np.full(_ANGLES, np.clip(rng.normal(look.radius, 0.09), 0.2, 0.8))
    outline *= 1 + rng.uniform(0, 0.22) * np.cos(2 * (angle - rng.uniform(0, np.pi)))
    irregularity = jitter(look.irregularity)
    for harmonic in range(3, 9):
        outline *= 1 + irregularity / np.sqrt(harmonic) * rng.normal() * np.cos(harmonic * angle + rng.uniform(0, 6.3))
    inside = outline.astype(np.float32)[step] - radius  # (S, S), positive inside
    alpha = 1 / (1 + np.exp(-np.clip(inside * (4 + 2 * jitter(look.sharpness)), -20, 20)))

    # Colour: two pigments, mixed by smooth noise and by the distance from the border.
    tint = rng.normal(0, 0.055) + rng.normal(0, 0.022, 3)
    first, second = np.array(look.colour) + tint, np.array(look.second) + tint
    mix = np.clip(jitter(look.variegation) * (1 + _clouds(rng, 5, size)) + 0.25 * (inside - 0.1), 0, 1)[..., None]
    colour = (first * (1 - mix) + second * mix).astype(np.float32)

    # Pigment network: two crossed waves, distorted by smooth noise.
    frequency, bend = rng.uniform(24, 34), 0.9 * _clouds(rng, 4, size)
    waves = np.sin(frequency * x + bend) * np.sin(frequency * (0.5 * x + 0.87 * y) + bend)
    colour *= (1 - 0.5 * jitter(look.network) * np.clip(waves, 0, 1))[..., None]

    # Blue-white veil, scale and a pale centre.
    veil = jitter(look.veil) * np.clip(_clouds(rng, 3, size), 0, 1)[..., None]
    colour = colour * (1 - veil) + np.array([0.46, 0.50, 0.60], np.float32) * veil
    scale = jitter(look.scale) * (_clouds(rng, 22, size) > 0.9)[..., None]
    colour = colour * (1 - 0.6 * scale) + np.array([0.90, 0.84, 0.78], np.float32) * 0.6 * scale
    pale = jitter(look.centre) * np.exp(-((radius / 0.16) ** 2))[..., None]
    colour = colour * (1 - pale) + np.array([0.86, 0.76, 0.70], np.float32) * pale

    rgba = np.empty((size, size, 4), np.uint8)
    rgba[..., :3] = np.clip(colour, 0, 1) * 255
    rgba[..., 3] = alpha * 255
    layer = Image.fromarray(rgba)
    _structures(layer, look, float(outline.mean()), rng)
    return layer


def _structures(layer: Image.Image, look: Look, radius: float, rng: np.random.Generator) -> None:
    """Draw globules and vessels into the lesion."""
    size = layer.width
    pen = ImageDraw.Draw(layer)
    for _ in range(rng.poisson(look.globules)):
        distance, angle = radius * 0.85 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        centre = size / 2 * (1 + distance * np.array([np.cos(angle), np.sin(angle)]))
        half = size * rng.uniform(0.010, 0.030)
        tone = np.array(look.globule_colour) + rng.normal(0, 0.06)
        pen.ellipse([*(centre - half), *(centre + half)], fill=_ink(tone, 230))
    for _ in range(rng.poisson(look.vessels)):
        distance, angle = radius * 0.9 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        start = distance * np.array([np.cos(angle), np.sin(angle)])
        path = start + np.cumsum(rng.normal(0, 0.05, (6, 2)) + rng.normal(0, 0.05, 2), axis=0)
        points = [tuple(point) for point in size / 2 * (1 + path)]
        pen.line(points, fill=_ink(np.array([0.72, 0.22, 0.22]), 210), width=max(1, round(size / 110)))


def _photograph(lesion: Image.Image, skin: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a photograph of the lesion on skin: rotated, shifted, lit, with hairs, ruler and noise."""
    x, y, radius, _ = _grid(size)
    turn, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.88, 1.15)
    shift = size * rng.normal(0, 0.045, 2)
    cosine, sine = np.cos(turn) / zoom, np.sin(turn) / zoom
    middle = size / 2
    offset_x = middle - cosine * (middle + shift[0]) - sine * (middle + shift[1])
    offset_y = middle + sine * (middle + shift[0]) - cosine * (middle + shift[1])
    affine = (cosine, sine, offset_x, -sine, cosine, offset_y)
    turned = np.asarray(lesion.transform((size, size), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR))

    texture = 0.014 * _clouds(rng, 6, size) + 0.012 * _clouds(rng, size // 4, size)
    picture = (skin + rng.normal(0, 0.012, 3)).astype(np.float32) + texture[..., None]
    alpha = turned[..., 3:].astype(np.float32) / 255
    picture = picture * (1 - alpha) + turned[..., :3].astype(np.float32) / 255 * alpha

    canvas = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    _hairs(canvas, rng)
    if rng.random() < 0.12:
        _ruler(canvas, rng)

    light = rng.normal(1, 0.06) + rng.normal(0, 0.05) * x + rng.normal(0, 0.05) * y
    light -= max(0.0, rng.normal(0.08, 0.07)) * radius**2
    tone = light[..., None] * (1 + rng.normal(0, 0.015, 3)).astype(np.float32) * 255
    noise = rng.standard_normal((size, size, 1), dtype=np.float32) * rng.uniform(1.5, 4)
    lit = np.asarray(canvas).astype(np.float32) * (tone / 255) + noise
    return np.clip(lit, 0, 255).astype(np.uint8)


def _hairs(canvas: Image.Image, rng: np.random.Generator) -> None:
    size = canvas.width
    pen = ImageDraw.Draw(canvas)
    steps = np.linspace(0, 1, 9)[:, None]
    for _ in range(rng.poisson(2.0) if rng.random() < 0.5 else 0):
        ends = size * rng.uniform(-0.1, 1.1, (3, 2))  # a quadratic Bézier curve
        path = (1 - steps) ** 2 * ends[0] + 2 * steps * (1 - steps) * ends[1] + steps**2 * ends[2]
        tone = np.array([0.20, 0.14, 0.11]) + rng.uniform(0, 0.2)
        pen.line([tuple(point) for point in path], fill=_ink(tone), width=max(1, round(size / 128)))


def _ruler(canvas: Image.Image, rng: np.random.Generator) -> None:
    size = canvas.width
    pen = ImageDraw.Draw(canvas)
    gap, top = size * rng.uniform(0.05, 0.08), rng.random() < 0.5
    for tick in range(int(size / gap) + 1):
        length = size * (0.06 if tick % 5 == 0 else 0.03)
        ends = (0, length) if top else (size - length, size)
        pen.line([(tick * gap, ends[0]), (tick * gap, ends[1])], fill=(30, 30, 35), width=max(1, size // 128))


def _ink(colour: np.ndarray, *alpha: int) -> tuple[int, ...]:
    return (*(int(value) for value in np.clip(colour, 0, 1) * 255), *alpha)
