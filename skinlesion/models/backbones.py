"""Any timm model as an image encoder: pooled features, and the input it was trained on."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn import functional

from skinlesion.errors import UserError, choices
from skinlesion.models.pretrained import hash_state, hub_file, load_by_position, local_file, pip_file

_IMAGENET_CLASSES = 1000
_RANDOM_SEED = 0  # weights: none is random, but the same everywhere


@dataclass(frozen=True)
class Backbone:
    """An image encoder and what its input must look like."""

    module: nn.Module  # (B, 3, input_size, input_size) float → (B, width)
    name: str
    width: int
    input_size: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights_sha256: str

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Return (B, 3, input_size, input_size) float32, resized and normalised, from (B, S, S, 3) uint8.

        The whole prepared square is resized: it already is the centre of the photograph.
        """
        pixels = images.permute(0, 3, 1, 2)  # (B, 3, S, S), channels last in memory
        if pixels.shape[-1] != self.input_size:
            size = (self.input_size, self.input_size)
            # CUDA resizes floats only; bicubic overshoots then, where whole numbers would be cut off at 0 and 255.
            pixels = pixels.float() if pixels.is_cuda else pixels
            pixels = functional.interpolate(pixels, size, mode=self.interpolation, antialias=True).clamp(0, 255)
        mean = torch.tensor(self.mean, device=pixels.device).view(1, 3, 1, 1) * 255
        std = torch.tensor(self.std, device=pixels.device).view(1, 3, 1, 1) * 255
        return pixels.float().sub_(mean).div_(std)

    def description(self) -> dict[str, object]:
        """Return everything but the module that features depend on."""
        return {
            "name": self.name,
            "input_size": self.input_size,
            "interpolation": self.interpolation,
            "mean": list(self.mean),
            "std": list(self.std),
            "weights_sha256": self.weights_sha256,
        }


def check_name(name: str) -> None:
    """Raise UserError, naming near ones, unless timm has a model called `name` (tag included, where given)."""
    if timm.is_model(name.partition(".")[0]):
        tags = [known.partition(".")[2] for known in timm.list_pretrained(name.partition(".")[0])]
        given = name.partition(".")[2]
        if not given or given in tags:
            return
        raise UserError(f"train.backbone: {name!r}: timm has no tag {given!r} of it; {choices(tags, given)}")
    names = timm.list_models()
    near = [known for known in names if known.startswith(name)][:5] or difflib.get_close_matches(name, names, n=5)
    hint = f"near: {', '.join(near)}" if near else "see timm.list_models()"
    raise UserError(f"train.backbone: timm has no model {name!r}; {hint}")


def load_backbone(name: str, weights: str, input_size: int | None = None) -> Backbone:
    """Return a timm model without its classifier, in evaluation mode, with the weights asked for.

    Args:
        name: a timm model name, with or without its tag.
        weights: "imagenet" (installed by pip, else the hub), "none" (random, seeded), or a .safetensors file.
        input_size: side of the input in pixels; None takes the model's own.

    Raises:
        UserError: an unknown name, or weights that cannot be had or do not fit; within 15 s.
    """
    check_name(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        model = _create(name, weights, input_size)
    model.eval()
    config = timm.data.resolve_model_data_config(model)
    return Backbone(
        module=model,
        name=name,
        width=int(model.num_features),
        input_size=input_size or config["input_size"][1],
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        weights_sha256=hash_state(model),
    )


def _create(name: str, weights: str, input_size: int | None) -> Any:
    # Only architectures with position embeddings take their size at construction; others run at any size.
    sized: dict[str, Any] = {"img_size": input_size} if input_size and _takes_image_size(name) else {}
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
    return _from_file(name, path, sized)


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
    except SafetensorError as error:
        raise UserError(f"train.weights: {path}: not a safetensors file ({error})") from None
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"train.weights: {path} does not fit {name} ({reason} …); give weights of this backbone"
        ) from None
    return model


def _takes_image_size(name: str) -> bool:
    return name.startswith(
        ("vit", "deit", "swin", "beit", "eva", "cait", "xcit", "test_vit", "mixer", "gmlp", "coatnet")
    )
