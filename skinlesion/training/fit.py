"""The training loop of one phase: epochs, early stopping on a validation value, best weights restored."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from skinlesion.data.sampling import epoch_order
from skinlesion.errors import UserError
from skinlesion.models.losses import Loss
from skinlesion.params import TrainParams
from skinlesion.training.averaging import MovingAverage
from skinlesion.training.checkpoint import Progress, State, load_checkpoint, save_checkpoint
from skinlesion.training.device import has_cuda
from skinlesion.training.distributed import ALONE, World
from skinlesion.training.examples import Examples, PixelExamples
from skinlesion.training.optimizer import make_optimizer, restore_optimizer, set_learning_rate
from skinlesion.training.phases import HEAD, Phase
from skinlesion.training.schedule import learning_rate_factor, side_of_epoch
from skinlesion.training.validate import is_better, logits_of, validation_values


class Report(Protocol):
    """Receives every step and epoch, to show progress."""

    def earlier(self, phase: str, rows: list[dict[str, Any]]) -> None: ...

    def step(self, phase: str, epoch: int, epochs: int, done: float, images: int) -> None: ...

    def epoch(self, phase: str, epochs: int, row: dict[str, Any], seconds: float) -> None: ...


@dataclass(frozen=True)
class Fitted:
    """The best weights of a phase and how it got there."""

    state: State
    best_epoch: int  # counted from 1
    best_value: float
    history: list[dict[str, Any]]  # one row per epoch


def fit(
    model: nn.Module,
    phase: Phase,
    train: Examples,
    validation: Examples,
    loss: Loss,
    settings: TrainParams,
    *,
    seed: tuple[int, ...],
    checkpoint: Path,
    fingerprint: str,
    world: World = ALONE,
    report: Report | None = None,
) -> Fitted:
    """Train until the monitored validation value stops improving; leave the best epoch's weights in `model`.

    Where the phase's `select` is "last", all epochs are trained, whatever `patience` says, and the last one's weights
    are left.
    Every epoch draws its random numbers from (seed, phase, epoch) alone, so a phase resumed from `checkpoint` ends in
    the same bytes as one that was never cut off. The checkpoint of a finished phase stays, so that a later phase that
    was cut off finds where it began.

    Raises:
        UserError: the validation value was never a number, or is none at the end where the last epoch is wanted.
    """
    loop = _Loop(model, phase, train, validation, loss, settings, seed, world, report)
    now = load_checkpoint(checkpoint, fingerprint, loop.device) or loop.start()
    loop.restore(now)
    if report is not None and now.history:
        report.earlier(phase.name, now.history)
    written = time.monotonic()
    saved = now.epoch
    while now.epoch < phase.epochs and now.epoch - now.best_epoch < phase.patience:
        loop.run_epoch(now)
        if world.writes and time.monotonic() - written >= settings.checkpoint_seconds:
            save_checkpoint(checkpoint, loop.store(now), fingerprint)
            written, saved = time.monotonic(), now.epoch
    if now.best_epoch == 0 or (phase.select == "last" and now.best_epoch < phase.epochs):
        raise UserError(
            f"train.lr: the validation {settings.monitor} was never a number at lr {phase.lr:g}, or did not stay one; "
            "use a lower one"
        )
    if world.writes and saved < now.epoch and settings.regime == "two_stage":
        save_checkpoint(checkpoint, loop.store(now), fingerprint)
    model.load_state_dict(now.best)
    return Fitted(now.best, now.best_epoch, now.best_value, now.history)


class _Loop:
    """A phase under way: the model with its optimiser, average and place in the schedule."""

    def __init__(
        self,
        model: nn.Module,
        phase: Phase,
        train: Examples,
        validation: Examples,
        loss: Loss,
        settings: TrainParams,
        seed: tuple[int, ...],
        world: World,
        report: Report | None,
    ) -> None:
        self.model, self.phase, self.train, self.validation = model, phase, train, validation
        self.settings, self.seed, self.world, self.report = settings, seed, world, report
        self.device = train.records.labels.device
        self.loss = loss.to(self.device)
        self.pixels = isinstance(train, PixelExamples)
        self.bf16 = self.pixels and settings.precision == "bf16"
        self.parallel = world.wrap(model)
        self.optimizer = make_optimizer(model, settings, phase.lr)
        self.average = MovingAverage(model, settings.ema_decay) if settings.ema_decay else None
        if self.pixels and settings.compile:
            model.compile()

    def start(self) -> Progress:
        state = _copy(self.model)
        return Progress(0, state, state, self.optimizer.state_dict(), best_epoch=0, best_value=float("nan"), history=[])

    def restore(self, now: Progress) -> None:
        if now.epoch:
            self.model.load_state_dict(now.model)
            restore_optimizer(self.optimizer, now.optimizer)
            if self.average is not None:
                self.average.state, self.average.steps = now.average, now.average_steps

    def store(self, now: Progress) -> Progress:
        now.model, now.optimizer = _copy(self.model), self.optimizer.state_dict()
        if self.average is not None:
            now.average, now.average_steps = self.average.state, self.average.steps
        return now

    def run_epoch(self, now: Progress) -> None:
        """Train one epoch, validate, and note both in `now`."""
        began = time.monotonic()
        epoch = now.epoch + 1
        with random_of((*self.seed, self.phase.number), epoch, self.world.rank) as generator:
            trained, images = self._train(epoch, generator)
        seconds = time.monotonic() - began
        monitor = self.settings.monitor
        with self._averaged():
            logits = logits_of(self.model, self.validation, pixels=self.pixels, bf16=self.bf16, world=self.world)
        validation = validation_values(logits, self.validation, self.loss, monitor)
        row = {
            "phase": self.phase.name,
            "epoch": epoch,
            **trained,
            **{f"validation_{name}": value for name, value in validation.items()},
        }
        now.epoch, now.history = epoch, [*now.history, row]
        value = validation[monitor]
        better = is_better(value, now.best_value, monitor)
        # Where the loss is no number, answers mean nothing, though they can still be counted.
        finite = np.isfinite([value, validation["loss"]]).all()
        if finite and (better or np.isnan(now.best_value) or self.phase.select == "last"):
            state = self.average.state if self.average is not None else self.model.state_dict()
            now.best_epoch, now.best_value = epoch, value
            now.best = {name: tensor.detach().clone() for name, tensor in state.items()}
        if self.report is not None:
            speed = {"images_per_second": images / seconds}
            self.report.epoch(self.phase.name, self.phase.epochs, row | speed, seconds)

    def _train(self, epoch: int, generator: torch.Generator) -> tuple[dict[str, float], int]:
        """Go through one epoch; return what history.csv says of it and the number of images.

        That is the mean of the batch losses, and the share of images answered with the target's largest class as they
        were shown: changed by augmentation, with dropout, by the weights of that step.
        """
        settings, phase = self.settings, self.phase
        self.parallel.train()
        records = self.train.records
        order = epoch_order(settings.sampler, records.labels, records.lesions, records.groups, generator)
        # Batch statistics need two images on every process: a smaller rest waits for the next epoch.
        rows = [batch for batch in order.split(phase.batch_size) if len(batch) >= 2 * self.world.size]
        if not rows:
            name = "batch_size" if phase.name == HEAD else "finetune_batch_size"
            raise UserError(
                f"train.{name}: {phase.batch_size} of {len(order)} training images at a time; two are needed on each "
                f"of {self.world.size} processes: give at least {2 * self.world.size}"
            )
        # Both stay on the device until the end: no waiting in the loop. float32 counts to 16 million exactly.
        totals = torch.zeros(2, device=self.device)  # of losses, of right answers
        images = 0
        side = side_of_epoch(settings.resolutions, epoch, phase.epochs)
        train = self.train.at(side) if isinstance(self.train, PixelExamples) and side else self.train
        for place, batch in enumerate(train.batches(rows, generator, self.world.share)):
            done = epoch - 1 + (place + 0.5) / len(rows)  # epochs, at the middle of the step
            factor = learning_rate_factor(
                settings.schedule, done, phase.epochs,
                warmup_epochs=settings.warmup_epochs, restart_epochs=settings.restart_epochs,
            )  # fmt: skip
            set_learning_rate(self.optimizer, factor)
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                logits = self.parallel(batch.image, batch.metadata).float()  # (B, C)
            values, weights = self.loss(logits, batch.targets)
            weight = self.world.sum(weights.sum().detach())
            # Gradients are averaged over processes: times their number, the sum over processes remains.
            divisor = weight if settings.loss_divisor == "weights" else len(rows[place])
            value = values.sum() / divisor * self.world.size
            value.backward()
            if settings.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
            self.optimizer.step()
            if self.average is not None:
                self.average.update(self.model)
            totals[0] += value.detach() / self.world.size
            totals[1] += (logits.detach().argmax(dim=1) == batch.targets.argmax(dim=1)).sum()
            images += len(rows[place])
            if self.report is not None:
                self.report.step(phase.name, epoch, phase.epochs, done, len(rows[place]))
        total, right = self.world.sum(totals).tolist()
        return {"train_loss": total / len(rows), "train_accuracy": right / images}, images

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the averaged weights into the model during validation, where there are any."""
        if self.average is None:
            yield
            return
        trained = _copy(self.model)
        self.model.load_state_dict(self.average.state)
        yield
        self.model.load_state_dict(trained)


def _copy(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def seeded(seed: tuple[int, ...]) -> int:
    """Return one seed that depends on all the numbers of `seed`."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


@contextmanager
def random_of(seed: tuple[int, ...], epoch: int, rank: int = 0) -> Iterator[torch.Generator]:
    """Run code whose random numbers depend on the run's seed, phase and epoch, and on nothing that ran before.

    The generator yielded is the same for all processes; dropout's is each one's own.
    """
    devices = range(torch.cuda.device_count()) if has_cuda() else []
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seeded((*seed, epoch, rank)))
        yield torch.Generator().manual_seed(seeded((*seed, epoch)))


@contextmanager
def initial_random(seed: tuple[int, ...], phase: int) -> Iterator[None]:
    """Initialise weights inside: they depend on the run's seed and the phase alone."""
    with random_of((*seed, phase), 0):
        yield
