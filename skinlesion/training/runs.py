"""The runs of an experiment, the folder of each, and the fingerprint of what it was made from."""

import platform
import re
import shutil
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

import skinlesion
from skinlesion.code_version import code_version
from skinlesion.errors import UserError
from skinlesion.files import read_csv, read_json, replacing, sha256_json
from skinlesion.params import TrainParams
from skinlesion.training.checkpoint import State
from skinlesion.training.device import device_name

WEIGHTS_NAME = "weights.safetensors"
RUN_NAME = "run.json"
HISTORY_NAME = "history.csv"
TIMING_NAME = "timing.json"  # apart from run.json: .dvcignore names it, so that two runs of one training hash alike

#: Fields that say which runs there are or how they are carried out, not what a run computes.
NOT_IN_FINGERPRINT = frozenset({"folds", "seeds", "repeats", "checkpoint_seconds", "device", "processes", "tta"})

#: The module whose import closure is the code that decides weights.
ENTRY = "stages.train"

_RUN_FOLDER = re.compile(r"(repeat\d+-)?fold\d+-seed\d+")


class Run(NamedTuple):
    """One training of an experiment: the test fold, the seed, and the repeat of the partition that has the fold."""

    fold: int
    seed: int
    repeat: int = 0

    def __str__(self) -> str:
        return f"{f'repeat {self.repeat} ' if self.repeat else ''}fold {self.fold} seed {self.seed}"

    @property
    def folder_name(self) -> str:
        return f"{f'repeat{self.repeat}-' if self.repeat else ''}fold{self.fold}-seed{self.seed}"

    @property
    def random_seed(self) -> tuple[int, ...]:
        """Return what the run's random numbers depend on: another repeat has other ones under the same seed.

        Repeat 0 draws what a run drew before there were repeats.
        """
        return (self.seed, self.fold, self.repeat) if self.repeat else (self.seed, self.fold)


def runs_of(settings: TrainParams) -> list[Run]:
    """Return the runs of an experiment, by repeat, fold and seed."""
    return [
        Run(fold, seed, repeat) for repeat in settings.repeats for fold in settings.folds for seed in settings.seeds
    ]


def run_folder(out: Path, run: Run) -> Path:
    """Return where a run lives."""
    return out / run.folder_name


def run_folders(out: Path) -> list[Path]:
    """Return the folders of runs that `out` holds, by name."""
    return sorted(folder for folder in out.glob("*fold*-seed*") if _RUN_FOLDER.fullmatch(folder.name))


def fingerprint(settings: TrainParams, run: Run, data: dict[str, str]) -> str:
    """Return the hash of all that decides a run's weights but the machine: configuration, data and code.

    `data` maps what was read (features, split, metadata) to hashes. Device and version of torch change the last bits
    of weights; run.json records them, but a run that was trained on a GPU is evaluated on a CPU too.
    """
    config = settings.model_dump(mode="json", exclude=set(NOT_IN_FINGERPRINT))
    return sha256_json({"config": config, **run._asdict(), "data": data, "code": code_version(ENTRY)})


def is_complete(folder: Path, expected: str) -> bool:
    """Return whether a folder holds a finished run of that fingerprint (run.json is written last)."""
    if not (folder / RUN_NAME).exists() or not (folder / WEIGHTS_NAME).exists():
        return False
    return read_run(folder).get("fingerprint") == expected


def clear(folder: Path) -> None:
    """Remove what another configuration left in a run's folder; a checkpoint guards itself."""
    for name in (RUN_NAME, WEIGHTS_NAME, HISTORY_NAME, TIMING_NAME):
        (folder / name).unlink(missing_ok=True)


def prune(out: Path, keep: Iterable[Path]) -> None:
    """Remove run folders that the parameters no longer ask for."""
    wanted = set(keep)
    for folder in run_folders(out):
        if folder not in wanted:
            shutil.rmtree(folder)


def save_weights(folder: Path, state: State) -> None:
    """Write weights.safetensors, tensors in the order of their names: same weights, same bytes."""
    with replacing(folder / WEIGHTS_NAME) as temporary:
        save_file({name: state[name].contiguous() for name in sorted(state)}, temporary)


def read_run(folder: Path) -> dict[str, Any]:
    """Return a run's run.json.

    Raises:
        UserError: there is none.
    """
    content: dict[str, Any] = read_json(folder / RUN_NAME, "run `skinlesion train` first")
    return content


def read_history(out: Path, run: Run) -> pd.DataFrame:
    """Return the training curves of a run: one row per epoch and phase.

    Raises:
        UserError: there are none.
    """
    return read_csv(run_folder(out, run) / HISTORY_NAME, ("phase", "epoch"), "run `skinlesion train` first")


def load_weights(folder: Path, model: torch.nn.Module, prefix: str = "") -> None:
    """Load a run's weights into `model`, whose tensors have names in the file that begin with `prefix`.

    Raises:
        UserError: they do not fit it.
    """
    path = folder / WEIGHTS_NAME
    try:
        stored = {name.removeprefix(prefix): tensor for name, tensor in load_file(path).items()}
        model.load_state_dict(stored, strict=True)
    except (FileNotFoundError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: weights missing or of another model ({reason}); train again") from None


def finish(folder: Path) -> None:
    """Remove the checkpoints of a run that is complete."""
    for path in folder.glob("checkpoint-*.safetensors"):
        path.unlink()


def environment(device: torch.device) -> dict[str, Any]:
    """Return versions and device, for run.json."""
    packages = ("torch", "torchvision", "timm", "numpy", "pandas", "scikit-learn")
    return {
        "versions": {"skinlesion": skinlesion.__version__, "python": platform.python_version()}
        | {package: version(package) for package in packages},
        "device": {"type": device.type, "name": device_name(device), "threads": torch.get_num_threads()},
    }
