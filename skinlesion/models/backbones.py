"""Backbones: any timm model as an image encoder, with its weights and the input it was trained on."""

import difflib
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.models import group_parameters
from torch import nn
from torch.nn import functional

from skinlesion.errors import UserError, choices
from skinlesion.models.finite import check_finite
from skinlesion.models.pretrained import hash_state, hub_file, load_by_position, local_file, pip_file
from skinlesion.reading import shown_problem
from skinlesion.transfer import constant

_IMAGENET_CLASSES = 1000
_RANDOM_SEED = 0  # weights: none is random, but the same everywhere


@dataclass(frozen=True)
class Backbone:
    """An image encoder and what its input must look like."""

    module: nn.Module  # a timm model without its classifier
    name: str
    width: int  # of pooled features
    map_width: int  # channels of the feature map
    input_size: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights_sha256: str
    reversed_channels: bool = False

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Return (B, 3, input_size, input_size) float32, resized and normalised, from (B, S, S, 3) uint8."""
        return self.normalise(self.resize(images))

    def resize(self, images: torch.Tensor) -> torch.Tensor:
        """Return pixels of 0 to 255 (B, 3, input_size, input_size) from (B, S, S, 3) uint8; bytes stay bytes on a CPU.

        The whole square is resized: what of the photograph it shows was chosen before.
        """
        pixels = images.permute(0, 3, 1, 2)  # (B, 3, S, S), channels last in memory
        if pixels.shape[-1] != self.input_size:
            size = (self.input_size, self.input_size)
            if pixels.is_cuda:  # resizes floats only; bicubic overshoots then, where bytes are cut off at 0 and 255
                pixels = pixels.float()
            pixels = functional.interpolate(pixels, size, mode=self.interpolation, antialias=True)
            pixels = pixels.clamp_(0, 255) if pixels.is_floating_point() else pixels
        return pixels

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 with the backbone's mean and standard deviation, from pixels of 0 to 255 (B, 3, s, s)."""
        count, _, height, width = pixels.shape
        mean, std = (constant(tuple(values), pixels.device) for values in (self.mean, self.std))
        # A whole row of pixels at a time: three channels alone are too short a stretch for a processor's vectors.
        rows = pixels.permute(0, 2, 3, 1).reshape(count * height, width * 3).to(torch.float32, copy=True)
        rows = rows.mul_((1 / (255 * std)).repeat(width)).sub_((mean / std).repeat(width))
        scaled = rows.view(count, height, width, 3)
        return (scaled.flip(3) if self.reversed_channels else scaled).permute(0, 3, 1, 2)

    def features(self, module: nn.Module, images: torch.Tensor, kind: str, grid: int | None) -> torch.Tensor:
        """Return image features of normalised `images` (B, 3, s, s): pooled (B, width) or a map.

        Args:
            module: the backbone's module, or a copy of it that is being trained.
            kind: "pooled", or "map" for (B, map_width, H, W).
            grid: pool the map to at most this many cells a side; None keeps it.

        Raises:
            UserError: the backbone has no feature map.
        """
        model: Any = module
        if kind == "pooled":
            pooled: torch.Tensor = model(images)
            return pooled
        features: torch.Tensor = model.forward_features(images)
        if features.ndim == 3:  # tokens of a transformer: prefix tokens first, then the patches in rows
            patches = features[:, getattr(model, "num_prefix_tokens", 0) :]
            side = math.isqrt(patches.shape[1])
            if side * side == patches.shape[1]:
                features = patches.transpose(1, 2).unflatten(2, (side, side))
        elif features.ndim == 4 and getattr(model, "output_fmt", "NCHW") == "NHWC":
            features = features.permute(0, 3, 1, 2)
        if features.ndim != 4:
            raise UserError(f"train.fusion: {self.name} has no feature map of H × W cells; take concat or film")
        if grid is not None and max(features.shape[2:]) > grid:
            features = _average_cells(features, grid)
        return features

    def last_stages(self, count: int | None) -> set[str]:
        """Return the names of the parameters of the last `count` stages and what follows them; None is all.

        Raises:
            UserError: there are fewer stages.
        """
        names = {name for name, _ in self.module.named_parameters()}
        if count is None:
            return names
        groups = parameter_groups(self.module, coarse=True)
        if count >= len(groups):
            raise UserError(
                f"train.trainable_stages: {self.name} has {len(groups) - 1} stages after its stem; "
                f"take 1 to {len(groups) - 1}, or null for all layers"
            )
        return {name for group in groups[-count:] for name in group}

    def description(self) -> dict[str, object]:
        """Return everything but the module that features depend on."""
        return {
            "name": self.name,
            "input_size": self.input_size,
            "interpolation": self.interpolation,
            "mean": list(self.mean),
            "std": list(self.std),
            "weights_sha256": self.weights_sha256,
            **({"reversed_channels": True} if self.reversed_channels else {}),
        }


def _average_cells(features: torch.Tensor, grid: int) -> torch.Tensor:
    """Return a map (B, C, H, W) averaged to (B, C, grid, grid).

    It is torch's adaptive_avg_pool2d, whose gradient has no deterministic form on CUDA, as two matrix products.
    """
    rows, columns = (_averages(size, grid) for size in features.shape[2:])
    return constant(rows, features.device) @ features @ constant(columns, features.device).T


@cache
def _averages(size: int, cells: int) -> tuple[tuple[float, ...], ...]:
    """Return the matrix (cells, size) that averages `size` numbers to `cells`, neighbours sharing numbers."""
    spans = [(cell * size // cells, -(-(cell + 1) * size // cells)) for cell in range(cells)]
    return tuple(
        tuple(1 / (end - start) if start <= place < end else 0.0 for place in range(size)) for start, end in spans
    )


def parameter_groups(module: Any, coarse: bool) -> list[list[str]]:
    """Return the parameters' names in groups from the stem up: stages, or with `coarse=False` single blocks.

    The grouping is timm's own; layers behind the last stage, a final normalisation say, belong to that stage.
    """
    groups = group_parameters(module, module.group_matcher(coarse=coarse))
    ordered = [list(groups[key]) for key in sorted(groups)]
    names = {name for name, _ in module.named_parameters()}
    ordered = [[name for name in group if name in names] for group in ordered]
    ordered = [group for group in ordered if group]
    shapes = {name: parameter.ndim for name, parameter in module.named_parameters()}
    while len(ordered) > 1 and all(shapes[name] <= 1 for name in ordered[-1]):
        ordered[-2:] = [ordered[-2] + ordered[-1]]
    stray = names - {name for group in ordered for name in group}
    return [sorted(stray), *ordered] if stray else ordered


def check_name(name: str) -> None:
    """Raise UserError, naming near ones, unless timm has a model called `name` (tag included, where given)."""
    if timm.is_model(name.partition(".")[0]):
        tags = [model.partition(".")[2] for model in timm.list_pretrained(name.partition(".")[0])]
        tag = name.partition(".")[2]
        if not tag or tag in tags:
            return
        raise UserError(f"train.backbone: {name!r}: timm has no tag {tag!r} of it; {choices(tags, tag)}")
    names = timm.list_models()
    near = [model for model in names if model.startswith(name)][:5] or difflib.get_close_matches(name, names, n=5)
    hint = f"near: {', '.join(near)}" if near else "see timm.list_models()"
    raise UserError(f"train.backbone: timm has no model {name!r}; {hint}")


def load_backbone(name: str, weights: str, input_size: int | None = None, scaling: str = "backbone") -> Backbone:
    """Return a timm model without its classifier, in evaluation mode, with the weights asked for.

    Args:
        name: a timm model name, with or without its tag.
        weights: "imagenet" (installed by pip, else the hub), "none" (random, seeded), or a .safetensors file.
        input_size: side of the input in pixels; None takes the model's own.
        scaling: "backbone" for inputs as the weights expect them. "p3" for what p3 gave its ResNet50, whose weights
            expect channels in the order blue, green, red, of 0 to 255, less their means: pixels divided by 255.

    Raises:
        UserError: an unknown name, or weights that cannot be had or do not fit; within 15 s.
    """
    check_name(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        model = _create(name, weights, input_size)
    model.eval()
    config = timm.data.resolve_model_data_config(model)
    mean, std = tuple(config["mean"]), tuple(config["std"])
    if scaling == "p3":  # in torch's units: no mean taken off, 255 times smaller, channels the other way round
        mean, std = (0.0, 0.0, 0.0), tuple(255 * value for value in std)
    return Backbone(
        module=model,
        name=name,
        width=int(getattr(model, "head_hidden_size", model.num_features)),
        map_width=int(model.num_features),
        input_size=input_size or config["input_size"][1],
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        mean=mean,
        std=std,
        weights_sha256=hash_state(model),
        reversed_channels=scaling == "p3",
    )


def _create(name: str, weights: str, input_size: int | None) -> Any:
    # Only architectures with position embeddings take their size at construction; others run at any size.
    sized: dict[str, Any] = {"img_size": input_size} if input_size and has_fixed_input(name) else {}
    if weights == "none":
        return timm.create_model(name, pretrained=False, num_classes=0, **sized)
    if weights == "imagenet":
        packaged = pip_file(name)
        if packaged is not None:
            model: Any = timm.create_model(name, pretrained=False, num_classes=_IMAGENET_CLASSES, **sized)
            load_by_position(model, packaged)
            model.reset_classifier(0)
            return model
        config = timm.models.get_pretrained_cfg(name)
        if config is None:
            raise UserError(f"train.weights: timm knows no ImageNet weights for {name}; set train.weights to none")
        path = hub_file(name, config)
    else:
        path = local_file(weights)
    model = _from_file(name, path, sized)
    check_finite(model.state_dict(), f"train.weights: {path}", "give undamaged weights")
    return model


def _from_file(name: str, path: Path, sized: dict[str, Any]) -> Any:
    """Load strictly, with as many classes as the file has: timm would pass over keys it does not know otherwise."""
    config = timm.models.get_pretrained_cfg(name)
    classifier = getattr(config, "classifier", None)
    classifier = classifier[0] if isinstance(classifier, (tuple, list)) else classifier
    try:
        with safe_open(path, framework="pt") as stored:
            head = f"{classifier}.weight"
            classes = stored.get_slice(head).get_shape()[0] if head in stored.keys() else 0  # noqa: SIM118
        overlay = {"file": str(path), "num_classes": classes}
        model: Any = timm.create_model(
            name, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay, **sized
        )
        model.reset_classifier(0)
    except (SafetensorError, OSError) as error:
        raise UserError(f"train.weights: {path}: not a safetensors file ({shown_problem(error)})") from None
    except (RuntimeError, KeyError, IndexError, AttributeError, TypeError, ValueError) as error:  # timm's, by the names
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"train.weights: {path} does not fit {name} ({reason} …); give weights of this backbone"
        ) from None
    return model


def has_fixed_input(name: str) -> bool:
    """Return whether a backbone is built for one size of input, as those with position embeddings are."""
    return name.startswith(
        ("vit", "deit", "swin", "beit", "eva", "cait", "xcit", "test_vit", "mixer", "gmlp", "coatnet")
    )
