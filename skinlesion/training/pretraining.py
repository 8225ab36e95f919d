"""Self-supervised pretraining of a backbone by SimCLR: two views of an image are to be told from all others.

Labels are not used. References:
    [1] Chen, Kornblith, Norouzi & Hinton, A simple framework for contrastive learning of visual representations,
        ICML 2020.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skinlesion.data.augment import Augmentation, augment, draw
from skinlesion.errors import UserError
from skinlesion.models.backbones import Backbone
from skinlesion.models.contrastive import ContrastiveNetwork, contrastive_loss
from skinlesion.params import TrainParams
from skinlesion.training.checkpoint import Progress, State, load_checkpoint, save_checkpoint
from skinlesion.training.examples import PixelStore
from skinlesion.training.fit import initial_random, random_of
from skinlesion.training.optimizer import make_optimizer, restore_optimizer, set_learning_rate
from skinlesion.training.schedule import learning_rate_factor

#: How the two views of an image differ: crops of at least a fifth of the area, and colours as in [1] at half strength.
#: Crops of 0.08, as there, often show skin alone; there is no grey view, because colour is a sign of the diagnosis.
VIEWS = Augmentation(
    flip=True, rotate90=True, crop=0.2, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1,
)  # fmt: skip

_WARMUP = 0.1  # share of the epochs
_WEIGHT_DECAY = 1e-4


@dataclass(frozen=True)
class PretrainSettings:
    """How a backbone is pretrained."""

    epochs: int
    lr: float
    batch_size: int  # images, each in two views
    temperature: float
    seed: int

    def __post_init__(self) -> None:
        """Raise UserError, naming the option, if a value makes no sense."""
        for name, least in (("epochs", 1), ("batch_size", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: give at least {least}")
        for name in ("lr", "temperature"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"--{name} {value}: give a number above 0")


def pretrain_backbone(
    backbone: Backbone,
    store: PixelStore,
    rows: np.ndarray,
    settings: PretrainSettings,
    *,
    precision: str,
    seed: tuple[int, ...],
    checkpoint: Path,
    fingerprint: str,
    report: Callable[[dict[str, Any]], None] = lambda row: None,
) -> tuple[State, list[dict[str, Any]]]:
    """Return the backbone's pretrained weights, under the names of timm, and one row per epoch: epoch, loss.

    AdamW with decay on matrices alone, a linear warm-up over a tenth of the epochs, then a cosine to 0. An epoch's
    random numbers depend on (seed, epoch) alone, and a checkpoint follows every epoch: a pretraining that was cut off
    goes on to the same weights. The checkpoint is left for the caller to remove once the weights are kept.

    Args:
        rows: (N,) rows of the store that are read, and no others.
        precision: "fp32" or "bf16".
        fingerprint: of settings, data and code; a checkpoint of another one is not used.
        report: called with the row of each epoch.

    Raises:
        UserError: lightly is not installed, fewer than two images, the loss is no number any more, or memory is full.
    """
    if len(rows) < 2:
        raise UserError(f"pretrain: {len(rows)} training images; two are needed to tell one from the other")
    device = store.device
    loss = contrastive_loss(settings.temperature)
    with initial_random(seed, 0):
        model = ContrastiveNetwork(backbone)
    model.to(device)
    model.backbone.to(memory_format=torch.channels_last)
    decay = TrainParams(optimizer="adamw", weight_decay=_WEIGHT_DECAY)
    optimizer = make_optimizer(model, decay, settings.lr)
    now = load_checkpoint(checkpoint, fingerprint, device)
    if now is None:
        now = Progress(0, {}, {}, {}, best_epoch=0, best_value=math.nan, history=[])
    else:
        model.load_state_dict(now.model)
        restore_optimizer(optimizer, now.optimizer)
    places = torch.from_numpy(np.asarray(rows, dtype=np.int64))
    model.train()
    for epoch in range(now.epoch + 1, settings.epochs + 1):
        with random_of(seed, epoch) as generator:
            order = places[torch.randperm(len(places), generator=generator)]
            # Fewer other images make the task easier: an incomplete batch waits for the next epoch.
            batches = [batch for batch in order.split(settings.batch_size) if len(batch) == settings.batch_size]
            batches = batches or [order]
            total = 0.0
            for place, batch in enumerate(batches):
                factor = learning_rate_factor(
                    "cosine", epoch - 1 + (place + 0.5) / len(batches), settings.epochs,
                    warmup_epochs=_WARMUP * settings.epochs,
                )  # fmt: skip
                set_learning_rate(optimizer, factor)
                optimizer.zero_grad(set_to_none=True)
                views = _two_views(backbone, store.take(batch), generator)
                try:
                    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                        projected = model(views).float()
                    value = loss(*projected.chunk(2))
                    value.backward()
                except torch.cuda.OutOfMemoryError:
                    raise UserError(
                        f"--batch-size {settings.batch_size}: does not fit into the device's memory; "
                        f"try {settings.batch_size // 2}"
                    ) from None
                optimizer.step()
                total += float(value.detach())
        row = {"epoch": epoch, "loss": total / len(batches)}
        if not math.isfinite(row["loss"]):
            raise UserError(f"--lr {settings.lr:g}: the loss is not a number in epoch {epoch}; use a lower one")
        now.epoch, now.history = epoch, [*now.history, row]
        now.model, now.optimizer = model.state_dict(), optimizer.state_dict()
        save_checkpoint(checkpoint, now, fingerprint)
        report(row)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.backbone.state_dict().items()}
    return weights, now.history


@torch.no_grad()
def _two_views(backbone: Backbone, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return normalised views (2 B, 3, s, s) of uint8 images (B, S, S, 3): all first ones, then all second ones."""
    pixels = backbone.resize(images)
    views = [augment(pixels, draw(VIEWS, len(images), generator)) for _ in range(2)]
    normalised = torch.cat([backbone.normalise(view) for view in views])
    return normalised.contiguous(memory_format=torch.channels_last)
