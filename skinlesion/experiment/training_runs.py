"""Training of an experiment: its runs one after the other, or shared out among devices and processes."""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from skinlesion.code_version import code_version
from skinlesion.data.store import cores
from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.pretraining_guard import check_pretraining
from skinlesion.models.backbones import has_fixed_input
from skinlesion.models.losses import Loss, make_loss
from skinlesion.models.metadata_encoders import MetadataEncoder, fit_encoder
from skinlesion.params import SplitParams, TrainParams
from skinlesion.progress import Watcher, training_progress
from skinlesion.reading import shown_problem
from skinlesion.results.workspace import Workspace
from skinlesion.tracking.live import Live, live_tracking
from skinlesion.training import runs
from skinlesion.training.checkpoint import State
from skinlesion.training.device import check_precision
from skinlesion.training.distributed import ALONE, World, join_world, leave_world
from skinlesion.training.fit import Fitted, fit, initial_random
from skinlesion.training.memory import keep_freed_memory
from skinlesion.training.phases import HEAD, Phase, phases_of
from skinlesion.training.runs import Run
from skinlesion.training.validate import is_better
from skinlesion.training.worker_processes import run_on_devices
from skinlesion.vocabulary import CLASSES


@dataclass(frozen=True)
class RunSummary:
    """The outcome of one run; validation figures only, the test part is for `evaluate`."""

    run: Run
    skipped: bool
    best_epoch: int
    validation_balanced_accuracy: float


def train_experiment(
    workspace: Workspace,
    settings: TrainParams,
    split: SplitParams,
    out: Path,
    experiment: str,
    *,
    exclusive: bool = False,
    live: Live | None = None,
) -> list[RunSummary]:
    """Train all runs of an experiment into `out`/[repeat<r>-]fold<k>-seed<s>; complete ones are skipped, cut-off ones
    resumed.

    Under torchrun every run is trained by all processes together; otherwise several CUDA devices share the
    runs.
    With `exclusive`, `out` holds these runs and no others: folders of folds and seeds not asked for are removed.
    With `live`, a tracker is told of every epoch.

    Raises:
        UserError: the prepared data, the split, the backbone or its weights cannot be had, the tracker's package is not
            installed, or memory is too small.
    """
    if live is not None:
        live.check()
    code_version(runs.ENTRY)  # kept from here on: the code that this process runs, whatever is edited meanwhile
    world = join_world(settings.device)
    try:
        inputs = Inputs(workspace, settings, split)
        check_precision(settings.precision, inputs.device)
        if settings.resolutions and has_fixed_input(settings.backbone):
            raise UserError(f"train.resolutions: {settings.backbone} is built for one input_size; leave them empty")
        wanted = runs.runs_of(settings)
        check_pretraining(inputs, wanted)  # before anything is computed
        fingerprints = {run: runs.fingerprint(settings, run, inputs.hashes(run.repeat)) for run in wanted}
        todo = [run for run in wanted if not runs.is_complete(runs.run_folder(out, run), fingerprints[run])]
        world.wait()  # no process writes before all have looked
        devices = _devices(inputs) if world.size == 1 and len(todo) > 1 else []
        if len(devices) > 1:
            run_on_devices(train_runs, (workspace, settings, split, out, experiment, live), todo, devices)
        elif todo:
            train_runs(workspace, settings, split, out, experiment, live, todo, world=world, inputs=inputs)
        world.wait()
        if world.writes:
            for run in wanted:
                if run not in todo:
                    runs.finish(runs.run_folder(out, run))
            if exclusive:  # now that all runs that are asked for are complete
                runs.prune(out, (runs.run_folder(out, run) for run in wanted))
    finally:
        leave_world()
    return [_summary(out, run, run not in todo) for run in wanted]


def _devices(inputs: Inputs) -> list[str]:
    """Return the device of each process: every GPU, or the CPU, as often as runs share it."""
    gpus = range(torch.cuda.device_count()) if inputs.device.type == "cuda" else []
    return ([f"cuda:{index}" for index in gpus] or ["cpu"]) * inputs.settings.processes


def train_runs(
    workspace: Workspace,
    settings: TrainParams,
    split: SplitParams,
    out: Path,
    experiment: str,
    live: Live | None,
    todo: list[Run],
    *,
    world: World = ALONE,
    inputs: Inputs | None = None,
) -> None:
    """Train the runs `todo` one after the other on the current device."""
    inputs = inputs or Inputs(workspace, settings, split)
    keep_freed_memory()
    if inputs.device.type == "cpu" and world.size == 1 and settings.processes > 1:
        # The last bits of weights depend on the number of threads: it follows from the settings, not from how many runs
        # are left to be trained.
        torch.set_num_threads(max(1, cores() // settings.processes))
    with (
        training_progress(experiment, len(todo), quiet=not world.writes) as display,
        live_tracking(display, live if world.writes else None, settings) as watcher,
    ):
        for run, examples in _with_examples(inputs, todo):
            watcher.run(str(run), run.folder_name)
            folder = runs.run_folder(out, run)
            try:
                with runs.locked(folder) if world.writes else nullcontext():
                    _train_run(folder, run, examples, experiment, world, watcher)
            except torch.cuda.OutOfMemoryError:
                raise UserError(_too_large(settings, inputs)) from None
            except RuntimeError as error:  # what torch raises where a CPU's memory is full
                if "allocate memory" not in str(error):
                    raise
                raise UserError(
                    f"{experiment}: out of memory ({shown_problem(error)}); take a smaller head, input_size or "
                    "batch size in train"
                ) from None


def _too_large(settings: TrainParams, inputs: Inputs) -> str:
    name = "finetune_batch_size" if settings.fine_tunes else "batch_size"
    size = getattr(settings, name)
    assert inputs.backbone is not None
    return (
        f"train.{name}: {size} images at {inputs.backbone.input_size} px do not fit into the device's memory; try "
        f"{max(1, size // 2)}, precision: bf16, a smaller input_size, or fewer trainable_stages"
    )


class _FoldExamples:
    """The training and validation examples of a fold, the same for all seeds that see the same records."""

    def __init__(self, inputs: Inputs, run: Run) -> None:
        self.inputs = inputs
        self.rows = {role: inputs.rows(run.fold, role, run.repeat) for role in ("train", "validation")}
        self.encoder: MetadataEncoder | None = None
        self.table = inputs.shown_table(run)
        settings = inputs.settings
        if settings.uses_metadata:
            self.encoder = fit_encoder(settings.metadata, self.table.iloc[self.rows["train"]], settings.age)
        labels = torch.from_numpy(inputs.labels[self.rows["train"]])
        self.counts = torch.bincount(labels, minlength=len(CLASSES))
        self._by_phase: dict[str, tuple[Any, Any]] = {}

    def loss(self) -> Loss:
        return make_loss(self.inputs.settings, self.counts)

    def of(self, phase: Phase) -> tuple[Any, Any]:
        """Return the training and the validation examples of a phase."""
        if phase.name not in self._by_phase:
            make = self.inputs.feature_examples if phase.name == HEAD else self.inputs.pixel_examples
            self._by_phase[phase.name] = (
                make(self.rows["train"], self.encoder, self.table, training=True),
                make(self.rows["validation"], self.encoder, self.table, training=False),
            )
        return self._by_phase[phase.name]


def _with_examples(inputs: Inputs, todo: list[Run]) -> Iterator[tuple[Run, _FoldExamples]]:
    """Yield the runs with the examples of their fold, which are read once for consecutive runs that share them."""
    loaded: tuple[tuple[int, ...], _FoldExamples] | None = None
    for run in todo:
        shared = run if inputs.settings.records == "permuted" else (run.repeat, run.fold)
        if loaded is None or loaded[0] != shared:
            loaded = (shared, _FoldExamples(inputs, run))
        yield run, loaded[1]


def _train_run(
    folder: Path,
    run: Run,
    examples: _FoldExamples,
    experiment: str,
    world: World,
    watcher: Watcher,
) -> None:
    """Train one run; what the folder holds of an earlier one stays until this one is complete."""
    inputs = examples.inputs
    fingerprint = runs.fingerprint(inputs.settings, run, inputs.hashes(run.repeat))
    began = time.monotonic()
    tried: list[dict[str, float]] = []
    chosen: tuple[State, list[tuple[Phase, Fitted]]] | None = None
    for number, settings in enumerate(inputs.settings.candidates):
        prefix = "" if number == 0 else f"{number}-"
        watcher.candidate(number)
        state, fitted = _fit_phases(folder, run, examples, settings, prefix, fingerprint, world, watcher)
        value = fitted[-1][1].best_value
        tried.append({"lr": settings.lr, "weight_decay": settings.weight_decay, "value": value})
        if chosen is None or is_better(value, chosen[1][-1][1].best_value, settings.monitor):
            chosen, place = (state, fitted), number
    assert chosen is not None
    state, fitted = chosen
    if not world.writes:
        return
    history = pd.DataFrame([row for _, result in fitted for row in result.history])
    described = _describe(fitted, inputs, examples.encoder, experiment, run.repeat)
    if len(tried) > 1:
        described["tuned"] = {"chosen": tried[place], "tried": tried}
    described |= {**run._asdict(), "fingerprint": fingerprint, "processes": world.size}
    runs.save_run(folder, state, history, described, time.monotonic() - began)
    runs.finish(folder)


def _fit_phases(
    folder: Path,
    run: Run,
    examples: _FoldExamples,
    settings: TrainParams,
    prefix: str,
    fingerprint: str,
    world: World,
    watcher: Watcher,
) -> tuple[State, list[tuple[Phase, Fitted]]]:
    """Train all phases from first weights, the same whatever else is tried; return weights and how they came about.

    Args:
        settings: those of the run, or a candidate of its grid.
        prefix: of the checkpoints' names, which tells candidates apart.
    """
    inputs = examples.inputs
    with initial_random(run.random_seed, 0):
        head = inputs.head(examples.encoder).to(inputs.device)
    state: State = {}
    fitted: list[tuple[Phase, Fitted]] = []
    for phase in phases_of(settings):
        model: Any = head
        if phase.name != HEAD:
            model = inputs.network(head)
        train, validation = examples.of(phase)
        result = fit(
            model,
            phase,
            train,
            validation,
            examples.loss(),
            settings,
            seed=run.random_seed,
            checkpoint=folder / phase.checkpoint_name(prefix),
            fingerprint=fingerprint,
            world=world,
            report=watcher,
        )
        fitted.append((phase, result))
        state = result.state if phase.name != HEAD else {f"head.{name}": value for name, value in result.state.items()}
    return state, fitted


def _describe(
    fitted: list[tuple[Phase, Fitted]], inputs: Inputs, encoder: MetadataEncoder | None, experiment: str, repeat: int
) -> dict[str, Any]:
    last = fitted[-1][1]
    best = last.history[last.best_epoch - 1]
    return {
        "experiment": experiment,
        "config": inputs.settings.model_dump(mode="json"),
        "data": inputs.hashes(repeat)
        | {"source": inputs.described["source"], "synthetic": inputs.described["synthetic"]},
        "backbone": None if inputs.backbone is None else inputs.backbone.description(),
        **inputs.features_origin(),
        "metadata_encoder": None if encoder is None else encoder.state(),
        "phases": [
            {
                "name": phase.name,
                "epochs": len(result.history),
                "best_epoch": result.best_epoch,
                "best_value": result.best_value,
            }
            for phase, result in fitted
        ],
        "epochs": len(last.history),
        "best_epoch": last.best_epoch,
        "validation_loss": best["validation_loss"],
        "validation_balanced_accuracy": best["validation_balanced_accuracy"],
        **runs.environment(inputs.device),
    }


def _summary(out: Path, run: Run, skipped: bool) -> RunSummary:
    described = runs.read_run(runs.run_folder(out, run))
    return RunSummary(run, skipped, described["best_epoch"], described["validation_balanced_accuracy"])
