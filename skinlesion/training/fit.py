"""The training loop: epochs, early stopping on the validation loss, best weights restored."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from skinlesion.errors import UserError
from skinlesion.models.losses import class_weights, make_loss
from skinlesion.params import TrainParams
from skinlesion.training.checkpoint import Progress, State, load_checkpoint, save_checkpoint
from skinlesion.vocabulary import CLASSES


@dataclass(frozen=True)
class Examples:
    """Inputs and labels of some images, on the device that trains."""

    image: torch.Tensor  # (N, F) float32
    metadata: torch.Tensor | None  # (N, M) float32
    labels: torch.Tensor  # (N,) int64, positions in CLASSES

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: torch.Tensor) -> "Examples":
        metadata = None if self.metadata is None else self.metadata[rows]
        return Examples(self.image[rows], metadata, self.labels[rows])


@dataclass(frozen=True)
class Fitted:
    """The best weights of a run and how it got there."""

    state: State
    best_epoch: int  # counted from 1
    best_loss: float
    history: list[dict[str, float]]  # one row an epoch


def fit(
    build: Callable[[], nn.Module],
    train: Examples,
    validation: Examples,
    settings: TrainParams,
    *,
    seed: tuple[int, int],
    checkpoint: Path,
    fingerprint: str,
) -> Fitted:
    """Train until the validation loss stops falling and return the best epoch's weights.

    The validation loss is the training loss (class weights included) without dropout. Every epoch draws its
    random numbers from (seed, epoch) alone, so a run resumed from `checkpoint` ends in the same bytes as one
    that was never cut off.
    """
    device = train.labels.device
    counts = torch.bincount(train.labels, minlength=len(CLASSES)).cpu()
    loss = make_loss(class_weights(settings.class_weights, counts).to(device))
    with _random(seed, 0):
        model = build().to(device)
    optimizer = _optimizer(model, settings)
    now = load_checkpoint(checkpoint, fingerprint, device) or _start(model, optimizer)
    model.load_state_dict(now.model)
    if now.epoch:
        optimizer.load_state_dict(now.optimizer)
    written = time.monotonic()

    while now.epoch < settings.epochs and now.epoch - now.best_epoch < settings.patience:
        epoch = now.epoch + 1
        with _random(seed, epoch):
            train_loss = _train_epoch(model, optimizer, loss, train, settings.batch_size)
        validation_loss, balanced_accuracy = _validate(model, loss, validation)
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": validation_loss,
            "validation_balanced_accuracy": balanced_accuracy,
        }
        now.epoch, now.history = epoch, [*now.history, row]
        if validation_loss < now.best_loss:
            now.best_epoch, now.best_loss, now.best = epoch, validation_loss, _copy(model)
        if time.monotonic() - written >= settings.checkpoint_seconds:
            now.model, now.optimizer = _copy(model), optimizer.state_dict()
            save_checkpoint(checkpoint, now, fingerprint)
            written = time.monotonic()
    if now.best_epoch == 0:
        raise UserError(f"train.lr: the validation loss was never a number at lr {settings.lr:g}; take a lower one")
    return Fitted(now.best, now.best_epoch, now.best_loss, now.history)


def _start(model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    state = _copy(model)
    return Progress(0, state, state, optimizer.state_dict(), best_epoch=0, best_loss=float("inf"), history=[])


def _train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: nn.Module, train: Examples, batch_size: int
) -> float:
    """Run one epoch over a fresh permutation and return the mean of its batch losses."""
    model.train()
    device = train.labels.device
    order = torch.randperm(len(train)).to(device)
    total = torch.zeros((), device=device)
    batches = order.split(batch_size)
    for rows in batches:
        batch = train.take(rows)
        optimizer.zero_grad(set_to_none=True)
        value = loss(model(batch.image, batch.metadata), batch.labels)
        value.backward()
        optimizer.step()
        total += value.detach()  # stays on the device: no waiting in the loop
    return float(total) / len(batches)


@torch.inference_mode()
def _validate(model: nn.Module, loss: nn.Module, validation: Examples) -> tuple[float, float]:
    """Return the loss and the balanced accuracy (mean sensitivity of the classes present)."""
    model.eval()
    logits = model(validation.image, validation.metadata)  # (N, C)
    correct = (logits.argmax(1) == validation.labels).float()
    truth = nn.functional.one_hot(validation.labels, len(CLASSES)).float()  # (N, C)
    support, hits = truth.sum(0), correct @ truth  # no bincount with weights: CUDA has no deterministic one
    present = support > 0
    return float(loss(logits, validation.labels)), float((hits[present] / support[present]).mean())


def _optimizer(model: nn.Module, settings: TrainParams) -> torch.optim.Optimizer:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    kind = kinds[settings.optimizer]
    return kind(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


def _copy(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@contextmanager
def _random(seed: tuple[int, int], epoch: int) -> Iterator[None]:
    """Run a stretch of code whose random numbers depend on (seed, fold) and the epoch, and on nothing before it."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(int(np.random.SeedSequence((*seed, epoch)).generate_state(1)[0]))
        yield
