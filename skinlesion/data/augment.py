"""Random changes of training images: drawn for a whole batch at once, one draw per image.

Geometry is one affine map per image (flips, quarter turns, rotation, magnification, crop, translation), colour one
3×4 matrix (brightness, contrast, saturation, hue), so that a batch is gone through twice, whatever the number of
changes. On the CPU OpenCV does both on bytes; on a GPU they are batched float operations. Artefacts are drawn last.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from skinlesion.data.artifacts import Artifacts, add_artifacts, draw_artifacts
from skinlesion.data.store import cores
from skinlesion.transfer import constant, on_device

if TYPE_CHECKING:
    from skinlesion.params import AugmentParams

#: Elements of the dihedral group D4: four quarter turns, each also mirrored.
D4_SIZE = 8

#: Magnifications of test-time augmentation at several scales: whole images, and the middle four ninths of them.
ZOOMS = (1.0, 1.5)

#: Rec. 601 luma, the grey that contrast and saturation refer to.
_GREY = (0.299, 0.587, 0.114)
#: RGB → YIQ: a change of hue is a rotation in the I–Q plane.
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class Augmentation:
    """The range of each random change; `AugmentParams` documents the fields."""

    flip: bool = False
    rotate90: bool = False
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    scale_by_axis: bool = False
    translation: float = 0.0
    crop: float = 1.0
    brightness: float = 0.0
    brightness_shift: float = 0.0
    contrast: float = 0.0
    contrast_by_channel: bool = False
    saturation: float = 0.0
    hue: float = 0.0
    artifacts: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def resamples(self) -> bool:
        """Whether pixels must be interpolated; flips and quarter turns alone are exact."""
        return self.rotation > 0 or self.scale != (1.0, 1.0) or self.translation > 0 or self.crop < 1


#: A dermatoscope has no up and no left; its distance, pressure and light vary.
PRESETS = {
    "none": Augmentation(),
    "flips": Augmentation(flip=True, rotate90=True),
    "dermoscopy": Augmentation(
        flip=True, rotate90=True, rotation=45.0, scale=(0.9, 1.2), translation=0.05,
        brightness=0.15, contrast=0.15, saturation=0.15, hue=0.02,
    ),
}  # fmt: skip


NO_CHANGE = PRESETS["none"]


def make_augmentation(params: "AugmentParams") -> Augmentation:
    """Return the preset that `params` names, overridden by the fields that `params` sets."""
    changes = {name: value for name, value in params if name != "preset" and value is not None}
    return replace(PRESETS[params.preset], **changes)


@dataclass(frozen=True)
class Draw:
    """The random changes drawn for each image of a batch. All tensors are on the CPU."""

    turns: torch.Tensor  # (B,) int64, element of the dihedral group D4: number of quarter turns + 4 × mirrored
    theta: torch.Tensor | None  # (B, 2, 3) output → input, coordinates in [−1, 1], turns included; None: turns only
    brightness: torch.Tensor  # (B,) factors
    contrast: torch.Tensor
    saturation: torch.Tensor
    hue: torch.Tensor  # (B,) turns
    brightness_shift: torch.Tensor | None = None  # (B,) added to values in 0 to 255
    contrast_by_channel: bool = False
    artifacts: Artifacts | None = None

    @property
    def recolours(self) -> bool:
        factors, shifts = (self.brightness, self.contrast, self.saturation), (self.hue, self.brightness_shift)
        return any(bool((factor != 1).any()) for factor in factors) or any(
            shift is not None and bool((shift != 0).any()) for shift in shifts
        )

    def __getitem__(self, rows: slice | torch.Tensor) -> "Draw":
        return Draw(
            self.turns[rows],
            None if self.theta is None else self.theta[rows],
            self.brightness[rows],
            self.contrast[rows],
            self.saturation[rows],
            self.hue[rows],
            None if self.brightness_shift is None else self.brightness_shift[rows],
            self.contrast_by_channel,
            None if self.artifacts is None else self.artifacts[rows],
        )


def draw(augmentation: Augmentation, count: int, generator: torch.Generator) -> Draw:
    """Return random changes for `count` images."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    quarter = torch.randint(4, (count,), generator=generator) * int(augmentation.rotate90)
    mirror = torch.randint(2, (count,), generator=generator) * int(augmentation.flip)
    upside = torch.randint(2, (count,), generator=generator) * int(augmentation.flip)
    # Mirrored along the other axis is mirrored and turned by two quarters.
    turns = (quarter + 2 * upside) % 4 + 4 * (mirror ^ upside)
    theta = None
    if augmentation.resamples:
        angle = torch.deg2rad(uniform(-augmentation.rotation, augmentation.rotation))
        # A crop to a fraction a of the area magnifies by 1/√a and may lie anywhere inside the image.
        crop_side = uniform(math.sqrt(augmentation.crop), 1.0)
        limits = [math.log(limit) for limit in augmentation.scale]
        across = uniform(*limits)
        down = uniform(*limits) if augmentation.scale_by_axis else across
        zoom = torch.exp(torch.stack([across, down], dim=1)) / crop_side.unsqueeze(1)  # (B, 2)
        shift = torch.stack(
            [uniform(-1, 1) * (1 - crop_side) + uniform(-2, 2) * augmentation.translation for _ in range(2)], dim=1
        )
        rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)
        # The image is magnified last: from output to input that comes first.
        linear = rotation @ d4_matrices()[turns] / zoom.unsqueeze(1)  # (B, 2, 2)
        theta = torch.cat([linear, shift.unsqueeze(2)], dim=2)  # (B, 2, 3)

    def factor(spread: float) -> torch.Tensor:
        return uniform(1 - spread, 1 + spread)

    drawn = Draw(
        turns, theta, factor(augmentation.brightness), factor(augmentation.contrast),
        factor(augmentation.saturation), uniform(-augmentation.hue, augmentation.hue),
    )  # fmt: skip
    # Where these are off nothing is taken from the generator: results without them stay what they were.
    if augmentation.brightness_shift:
        shift = 255 * uniform(-augmentation.brightness_shift, augmentation.brightness_shift)
        drawn = replace(drawn, brightness_shift=shift)
    if augmentation.artifacts:
        drawn = replace(drawn, artifacts=draw_artifacts(augmentation.artifacts, count, generator))
    return replace(drawn, contrast_by_channel=augmentation.contrast_by_channel)


def view_draw(count: int, view: int) -> Draw:
    """Return the draw of one view of test-time augmentation, the same for every image; colours are left alone.

    View v is element v mod 8 of D4, magnified by ZOOMS[v // 8]; view 0 changes nothing.
    """
    unit, zero = torch.ones(count), torch.zeros(count)
    element, zoom = view % D4_SIZE, ZOOMS[view // D4_SIZE]
    theta = None
    if zoom != 1:
        linear = (d4_matrices()[element] / zoom).expand(count, -1, -1)
        theta = torch.cat([linear, torch.zeros(count, 2, 1)], dim=2)
    return Draw(torch.full((count,), element), theta, unit, unit, unit, zero)


def d4_matrices() -> torch.Tensor:
    """Return the linear maps output → input (8, 2, 2) of the 8 elements of D4, in (x, y) with y pointing down."""
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    mirror = torch.tensor([[-1.0, 0.0], [0.0, 1.0]])
    turns = [torch.linalg.matrix_power(quarter, k) for k in range(4)]
    return torch.stack([*turns, *(turn @ mirror for turn in turns)])


def augment(pixels: torch.Tensor, drawn: Draw) -> torch.Tensor:
    """Return `pixels` (B, 3, S, S) in 0 to 255 transformed and recoloured as drawn, channels last.

    Geometry is interpolated bilinearly with reflected edges; flips and quarter turns alone are exact. Colour is
    brightness (factor, then shift), then contrast about the image's mean grey or its channels' means, saturation and
    hue, clipped to 0 to 255 once, at the end.
    Artefacts lie on top. uint8 stays uint8 on the CPU; on a GPU the result is float where values change.
    """
    changed = _change(pixels, drawn)
    return changed if drawn.artifacts is None else add_artifacts(changed, drawn.artifacts)


def _change(pixels: torch.Tensor, drawn: Draw) -> torch.Tensor:
    """Return pixels with geometry and colour changed."""
    colour = _colour_maps(drawn, pixels) if drawn.recolours else None
    if pixels.device.type == "cpu" and pixels.dtype == torch.uint8:
        if drawn.theta is None:
            pixels = _turn(pixels, drawn.turns)
        if drawn.theta is None and colour is None:
            return pixels
        return _change_bytes(pixels, drawn.theta, colour)
    return _change_floats(pixels, drawn, colour)


def _change_floats(pixels: torch.Tensor, drawn: Draw, colour: torch.Tensor | None) -> torch.Tensor:
    """Transform the whole batch at once, on any device."""
    if drawn.theta is None:
        pixels = _turn(pixels, drawn.turns)
    else:
        grid = functional.affine_grid(on_device(drawn.theta, pixels.device), list(pixels.shape), align_corners=False)
        pixels = functional.grid_sample(
            pixels.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )
    if colour is None:
        return pixels
    count, side = len(pixels), pixels.shape[-1]
    flat = pixels.permute(0, 2, 3, 1).reshape(count, side * side, 3).float()  # (B, S², 3)
    out = torch.baddbmm(colour[:, None, :, 3], flat, colour[:, :, :3].transpose(1, 2)).clamp_(0, 255)
    return out.view(count, side, side, 3).permute(0, 3, 1, 2)


def _turn(pixels: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Apply to each image its element of D4 (B,), one indexing per element."""
    out = pixels.clone(memory_format=torch.preserve_format)
    for element in turns.unique().tolist():
        if element == 0:
            continue
        rows = on_device(torch.nonzero(turns == element).flatten(), pixels.device)
        turned = torch.rot90(pixels[rows], element % 4, dims=(2, 3))
        out[rows] = turned.flip(3) if element >= 4 else turned
    return out


def _change_bytes(pixels: torch.Tensor, theta: torch.Tensor | None, colour: torch.Tensor | None) -> torch.Tensor:
    """Transform images in parallel threads: one image stays in the processor's cache from one step to the next."""
    import cv2  # imported here: prediction and frozen features without augmentation need no OpenCV

    side = pixels.shape[-1]
    source = pixels.permute(0, 2, 3, 1).contiguous().numpy()  # (B, S, S, 3)
    out = torch.empty(source.shape, dtype=torch.uint8)
    target = out.numpy()
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    maps = None if theta is None else _pixel_maps(theta, side)
    colours = None if colour is None else colour.numpy()

    def change_image(row: int) -> None:
        image = source[row]
        if maps is not None:
            into = target[row] if colours is None else None
            image = cv2.warpAffine(image, maps[row], (side, side), dst=into, flags=flags, borderMode=cv2.BORDER_REFLECT)
        if colours is not None:
            cv2.transform(image, colours[row], dst=target[row])  # rounds and clips to 0 to 255

    def change(rows: range) -> None:
        for row in rows:
            change_image(row)

    list(_pool().map(change, [range(first, len(source), cores()) for first in range(cores())]))
    return out.permute(0, 3, 1, 2)


def _pixel_maps(theta: torch.Tensor, side: int) -> np.ndarray:
    """Return maps (B, 2, 3) between pixel centres for maps between [−1, 1] coordinates: x = ((x' + 1) · S − 1) / 2."""
    linear = theta[:, :, :2].double()
    offset = (linear.sum(2) * (1 - side) + side * (theta[:, :, 2].double() + 1) - 1) / 2  # (B, 2)
    maps: np.ndarray = torch.cat([linear, offset.unsqueeze(2)], dim=2).numpy()
    return maps


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    import cv2

    cv2.setNumThreads(1)  # threads divide the images of a batch, not the rows of one image
    return ThreadPoolExecutor(cores(), thread_name_prefix="augment")


def _channel_means(pixels: torch.Tensor) -> torch.Tensor:
    """Return the mean of each channel (B, 3) of pixels (B, 3, S, S)."""
    if pixels.device.type == "cpu" and pixels.dtype == torch.uint8:
        import cv2

        means = [cv2.mean(image)[:3] for image in pixels.permute(0, 2, 3, 1).contiguous().numpy()]
        return torch.tensor(means)
    return pixels.mean(dim=(2, 3), dtype=torch.float32)


def _colour_maps(drawn: Draw, pixels: torch.Tensor) -> torch.Tensor:
    """Return one matrix per image (B, 3, 4), its last column the offset, for pixels (B, 3, S, S) in 0 to 255."""
    means = _channel_means(pixels)
    device = means.device
    brightness, contrast, saturation, hue = (
        on_device(getattr(drawn, name), device) for name in ("brightness", "contrast", "saturation", "hue")
    )
    identity = torch.eye(3, device=device)
    to_grey = constant(_GREY, device).expand(3, 3)  # every row is the luma weights: a grey pixel
    saturate = saturation.view(-1, 1, 1) * identity + (1 - saturation).view(-1, 1, 1) * to_grey
    cos, sin, unit, zero = (2 * math.pi * hue).cos(), (2 * math.pi * hue).sin(), torch.ones_like(hue), 0 * hue
    turn = torch.stack([unit, zero, zero, zero, cos, -sin, zero, sin, cos], dim=1).view(-1, 3, 3)
    colour = constant(_rgb(), device) @ turn @ constant(_YIQ, device) @ saturate  # (B, 3, 3); maps every grey to itself
    matrix = (brightness * contrast).view(-1, 1, 1) * colour
    if drawn.contrast_by_channel:
        offset = ((1 - contrast) * brightness).view(-1, 1) * (colour @ means.unsqueeze(2)).squeeze(2)
    else:
        grey = means @ constant(_GREY, device)
        offset = ((1 - contrast) * brightness * grey).view(-1, 1) * colour.sum(dim=2)
    if drawn.brightness_shift is not None:  # of the image and of its mean alike: contrast leaves it as it is
        offset = offset + on_device(drawn.brightness_shift, device).view(-1, 1) * colour.sum(dim=2)
    return torch.cat([matrix, offset.unsqueeze(2)], dim=2)


@lru_cache(maxsize=1)
def _rgb() -> tuple[tuple[float, ...], ...]:
    """Return the matrix YIQ → RGB."""
    return tuple(tuple(row) for row in torch.linalg.inv(torch.tensor(_YIQ)).tolist())


@dataclass(frozen=True)
class Mix:
    """How pairs of images are mixed: MixUp (Zhang et al. 2018) blends values, CutMix (Yun et al. 2019) a rectangle."""

    partner: torch.Tensor  # (B,) row of the second image
    share: torch.Tensor  # (B,) weight of the first image, at least 1/2
    box: torch.Tensor | None  # (B, 4) left, top, right, bottom as fractions of the side, for CutMix


def draw_mix(augmentation: Augmentation, count: int, generator: torch.Generator) -> Mix | None:
    """Return how a batch is mixed, or None if neither MixUp nor CutMix is on; if both are, each with probability 1/2.

    The weight λ is replaced by max(λ, 1 − λ): the first image dominates, and its metadata is used for the mixture.
    """
    alphas = {"mixup": augmentation.mixup, "cutmix": augmentation.cutmix}
    kinds = [kind for kind, alpha in alphas.items() if alpha > 0]
    if not kinds:
        return None
    kind = kinds[int(torch.randint(len(kinds), (1,), generator=generator))]
    # Beta(α, α) is the first component of Dirichlet(α, α), whose sampler takes a generator.
    pair = torch._sample_dirichlet(torch.full((count, 2), alphas[kind]), generator=generator)
    share = pair.max(dim=1).values
    partner = torch.randperm(count, generator=generator)
    if kind == "mixup":
        return Mix(partner, share, None)
    half = (1 - share).sqrt() / 2
    centre = torch.rand(count, 2, generator=generator)
    low, high = (centre - half.view(-1, 1)).clamp(0, 1), (centre + half.view(-1, 1)).clamp(0, 1)
    return Mix(partner, share, torch.cat([low, high], dim=1))


def apply_mix(pixels: torch.Tensor, targets: torch.Tensor, mix: Mix) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mixed pixels (B, 3, S, S) and mixed targets (B, C)."""
    device, side = pixels.device, pixels.shape[-1]
    partner = on_device(mix.partner, device)
    if mix.box is None:
        share = on_device(mix.share, device)
        weight = share.view(-1, 1, 1, 1)
    else:
        left, top, right, bottom = (on_device(mix.box, device) * side).round().view(-1, 4, 1, 1).unbind(1)
        place = torch.arange(side, device=device)
        inside = (place.view(1, 1, -1) >= left) & (place.view(1, 1, -1) < right)
        inside = inside & (place.view(1, -1, 1) >= top) & (place.view(1, -1, 1) < bottom)  # (B, S, S)
        weight = (~inside).unsqueeze(1).to(pixels.dtype)
        share = weight.mean(dim=(1, 2, 3))  # the area really kept: the box is clipped at the image's edge
    blended = pixels * weight + pixels[partner] * (1 - weight)
    return blended, targets * share.view(-1, 1) + targets[partner] * (1 - share.view(-1, 1))
