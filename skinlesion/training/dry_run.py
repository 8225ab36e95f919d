"""Dry run: shapes, parameters, memory and time of an experiment, without data and without weights."""

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from skinlesion.folds import PARTS, TRAINING_PARTS
from skinlesion.models.backbones import Backbone, load_backbone
from skinlesion.models.classifier import FeatureClassifier, ImageClassifier
from skinlesion.models.fusion import image_features_of
from skinlesion.models.losses import CrossEntropy
from skinlesion.models.metadata_encoders import Field, fit_encoder
from skinlesion.numbers import count, number
from skinlesion.params import TrainParams
from skinlesion.training.device import resolve_device
from skinlesion.training.memory import keep_freed_memory
from skinlesion.training.optimizer import make_optimizer
from skinlesion.training.phases import HEAD, Phase, phases_of
from skinlesion.vocabulary import CLASSES

_PROBE = 4  # images of the batch that shapes, memory and time are measured on


def dry_run(settings: TrainParams, name: str, images: int, cached_views: int = 0) -> str:
    """Return in words: input, shapes through the fusion, parameters, and memory and time by phase.

    The network is built with random weights and goes through one small batch of noise. Memory is counted from the
    tensors that step keeps for its gradients, scaled to the batch size; time is that step's, on this machine.

    Args:
        images: of the data set.
        cached_views: how many of the views of frozen features are cached already.

    Raises:
        UserError: an unknown backbone, or settings it cannot serve.
    """
    keep_freed_memory()
    device = resolve_device(settings.device)
    kind = image_features_of(settings.fusion)
    lines = [name]
    backbone = (
        None
        if kind == "none"
        else load_backbone(settings.backbone, "none", settings.input_size, settings.input_scaling)
    )
    fields: Sequence[Field] = ()
    if settings.uses_metadata:
        table = pd.DataFrame({"age": [40.0, 60.0], "sex": ["male", "female"], "localization": ["back", "face"]})
        fields = fit_encoder(settings.metadata, table, settings.age).fields
    width = 0 if backbone is None else (backbone.map_width if kind == "map" else backbone.width)
    head = FeatureClassifier(settings, width, fields).to(device)
    batch = _Batch(settings, backbone, sum(len(field.missing) for field in fields), device)
    lines += _shapes(settings, backbone, head, batch)
    for phase in phases_of(settings):
        lines += _phase(settings, phase, backbone, head, batch, images, cached_views)
    return "\n".join(lines)


class _Batch:
    """A small batch of noise."""

    def __init__(self, settings: TrainParams, backbone: Backbone | None, columns: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)
        self.pixels = self.image = self.metadata = None
        if columns:
            # Zeros and ones are valid codes of every category and valid numbers.
            self.metadata = torch.randint(2, (_PROBE, columns), generator=generator).float().to(device)
        if backbone is not None:
            size = backbone.input_size
            noise = torch.rand(_PROBE, 3, size, size, generator=generator).to(device)
            self.pixels = noise.contiguous(memory_format=torch.channels_last)
            module = backbone.module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for _ in range(2):  # the first pass also sets things up
                began = _now(device)
                with torch.inference_mode():
                    features = backbone.features(
                        module, self.pixels, image_features_of(settings.fusion), settings.spatial_grid
                    )
                self.forward_seconds = (_now(device) - began) / _PROBE
            self.image = features.clone().float()
        self.targets = torch.eye(len(CLASSES), device=device)[torch.arange(_PROBE) % len(CLASSES)]


def _shapes(settings: TrainParams, backbone: Backbone | None, head: FeatureClassifier, batch: _Batch) -> list[str]:
    """Return one line per stage on the way from pixels and record to logits."""
    seen: list[tuple[str, torch.Tensor]] = []

    def note(label: str) -> Any:
        return lambda module, inputs, output: seen.append((label, output))

    hooks = [head.fusion.register_forward_hook(note(f"fused ({settings.fusion})"))]
    hooks.append(head.logits.register_forward_hook(note("logits")))
    if settings.image_hidden:
        hooks.append(head.image.register_forward_hook(note("image features, dense")))
    if settings.head_hidden:
        hooks.append(head.head.register_forward_hook(note("head")))
    head.eval()
    with torch.inference_mode():
        head(batch.image, batch.metadata)
    for hook in hooks:
        hook.remove()
    lines = []
    if backbone is not None:
        assert batch.pixels is not None
        assert batch.image is not None
        lines.append(f"  {'backbone':<24}{backbone.name}, weights {settings.weights} (not loaded here)")
        lines.append(f"  {'input':<24}{_shape(batch.pixels)}, mean {_three(backbone.mean)}, std {_three(backbone.std)}")
        lines.append(f"  {'image features':<24}{_shape(batch.image)}")
    if batch.metadata is not None:
        lines.append(f"  {'metadata':<24}{_shape(batch.metadata)}, {settings.metadata}")
    return lines + [f"  {label:<24}{_shape(output)}" for label, output in seen]


def _now(device: torch.device) -> float:
    """Return the time in seconds when everything that was started on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _phase(
    settings: TrainParams,
    phase: Phase,
    backbone: Backbone | None,
    head: FeatureClassifier,
    batch: _Batch,
    images: int,
    cached_views: int,
) -> list[str]:
    model: nn.Module = head
    image = batch.image
    if phase.name != HEAD:
        assert backbone is not None
        model, image = ImageClassifier(backbone, head, settings), batch.pixels
    device = batch.targets.device
    model = model.to(device)
    model.train()
    optimizer = make_optimizer(model, settings, phase.lr)
    loss = CrossEntropy(torch.ones(len(CLASSES), device=device))
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    bf16 = settings.precision == "bf16" and phase.name != HEAD
    seconds = []
    for _ in range(3):  # the first step also sets things up
        saved.clear()
        began = _now(device)
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast(device.type, torch.bfloat16, enabled=bf16),
        ):
            values, weights = loss(model(image, batch.metadata).float(), batch.targets)
        optimizer.zero_grad()
        (values.sum() / weights.sum()).backward()
        optimizer.step()
        seconds.append((_now(device) - began) / _PROBE)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    if phase.name == HEAD and backbone is not None:
        frozen += sum(p.numel() for p in backbone.module.parameters())
    weights_at = {p.untyped_storage().data_ptr() for p in model.parameters()}
    activations = sum(size for place, size in saved.items() if place not in weights_at)
    memory = activations / _PROBE * phase.batch_size + 4 * (4 * trainable + frozen)
    training = images * TRAINING_PARTS // PARTS
    epoch = min(seconds[1:]) * training
    lines = [
        f"  {phase.name}: {count(trainable, 'parameter')} trained, {number(frozen, 0)} frozen; "
        f"batches of {phase.batch_size}",
        f"    memory about {number(memory / 2**30, 2)} GiB; at most {count(phase.epochs, 'epoch')}, "
        + (
            f"about {_duration(epoch)} each on this {device.type} ({count(training, 'image')})"
            if phase.name != HEAD
            else "seconds each on cached features"
        ),
    ]
    if phase.name == HEAD and batch.pixels is not None:
        left = max(0, settings.views - cached_views)
        whole = batch.forward_seconds * images * left
        lines.append(
            f"    features of {count(images, 'image')}: "
            + (f"once about {_duration(whole)} on this {device.type}" if left else "cached already")
        )
    return lines


def _shape(tensor: torch.Tensor) -> str:
    return "B × " + " × ".join(str(size) for size in tensor.shape[1:])


def _three(values: tuple[float, ...]) -> str:
    return ", ".join(number(value) for value in values)


def _duration(seconds: float) -> str:
    return f"{number(seconds, 0)} s" if seconds < 120 else f"{number(seconds / 60, 0)} min"
