"""The runs of an experiment, the folder of each, and the fingerprint of what it was made from."""

import platform
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, NotRequired

import pandas as pd
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from typing_extensions import TypedDict

import skinlesion
from skinlesion.atomic import replacing
from skinlesion.code_version import code_version
from skinlesion.errors import UserError
from skinlesion.files import sha256_file, sha256_json, write_csv, write_json
from skinlesion.models.finite import check_finite
from skinlesion.params import TrainParams
from skinlesion.reading import check_numbers, check_readable, check_words, read_csv, read_json, shown_problem
from skinlesion.training.checkpoint import State
from skinlesion.training.device import device_name

WEIGHTS_NAME = "weights.safetensors"
RUN_NAME = "run.json"
HISTORY_NAME = "history.csv"
_LOCK_NAME = ".lock"  # only there while a process trains the run
TIMING_NAME = "timing.json"  # apart from run.json: .dvcignore names it, so that two runs of one training hash alike

#: Fields that say which runs there are or how they are carried out, not what a run computes.
NOT_IN_FINGERPRINT = frozenset({"folds", "seeds", "repeats", "checkpoint_seconds", "device", "processes", "tta"})

#: The module whose import closure is the code that decides weights.
ENTRY = "stages.train"

_AGAIN = "run `skinlesion train` again"
_RUN_FOLDER = re.compile(r"(repeat\d+-)?fold\d+-seed\d+")


class RunDescription(TypedDict):
    """run.json: what a finished run was made from and how it went; `experiment.training_runs` writes it."""

    experiment: str
    fold: int
    seed: int
    repeat: NotRequired[int]  # older files have none
    fingerprint: str
    weights_sha256: NotRequired[str]  # of weights.safetensors; a run without it counts as unfinished
    config: dict[str, Any]
    data: "_Data"
    backbone: dict[str, Any] | None
    features_made_with: NotRequired[dict[str, str]]
    metadata_encoder: dict[str, Any] | None
    phases: list["_Phase"]
    tuned: NotRequired["_Tuned"]
    epochs: int
    best_epoch: int
    validation_loss: float
    validation_balanced_accuracy: float
    processes: NotRequired[int]
    versions: dict[str, str]
    device: dict[str, Any]


class _Data(TypedDict):
    """Hashes by name, and where the images came from."""

    source: str
    synthetic: bool


class _Phase(TypedDict):
    name: str
    epochs: int
    best_epoch: int
    best_value: float


class _Tuned(TypedDict):
    chosen: dict[str, float]
    tried: list[dict[str, float]]


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
    """Return whether a folder holds a finished run of that fingerprint, its weights those that run.json names."""
    if not (folder / RUN_NAME).exists() or not (folder / WEIGHTS_NAME).exists():
        return False
    try:
        described = read_run(folder)
    except UserError:  # damaged: training it again mends it
        return False
    return described["fingerprint"] == expected and not _problem_of_weights(folder, described)


def _problem_of_weights(folder: Path, described: RunDescription) -> str:
    """Return what is wrong with the bytes of a run's weights, empty if they are those that were trained."""
    if "weights_sha256" not in described:
        return "of an older version, without a checksum of the weights"
    if sha256_file(folder / WEIGHTS_NAME) != described["weights_sha256"]:
        return f"not the weights that {RUN_NAME} beside it was written with: damaged, or another run's"
    return ""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training the run of a folder meanwhile.

    The lock ends with the process that holds it, however that ends.

    Raises:
        UserError: another process trains it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _LOCK_NAME
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(f"{folder}: another `skinlesion train` is training this run; wait for it, or stop it") from None
    try:
        yield
    finally:
        # While it is held: nobody else has locked this file, and who opens it meanwhile sees that it is gone.
        with suppress(OSError):
            path.unlink()
        lock.release()


def save_run(folder: Path, state: State, history: pd.DataFrame, described: dict[str, Any], seconds: float) -> None:
    """Write a finished run over what the folder holds.

    run.json goes first and comes last: its presence says that the files beside it belong together.

    Raises:
        UserError: a weight is NaN or infinite.
    """
    check_finite(state, str(folder), "take a lower train.lr")
    (folder / RUN_NAME).unlink(missing_ok=True)
    save_weights(folder, state)
    write_csv(folder / HISTORY_NAME, history)
    write_json(folder / TIMING_NAME, {"seconds": round(seconds, 2)})
    write_json(folder / RUN_NAME, described | {"weights_sha256": sha256_file(folder / WEIGHTS_NAME)})


def prune(out: Path, keep: Iterable[Path]) -> None:
    """Remove run folders that the parameters no longer ask for."""
    wanted = set(keep)
    for folder in run_folders(out):
        if folder not in wanted:
            shutil.rmtree(folder)


def save_weights(folder: Path, state: State) -> None:
    """Write weights.safetensors, tensors in the order of their names: same weights, same bytes."""
    with replacing(folder / WEIGHTS_NAME) as temporary:
        # Not save_file: it gives a file that only its owner may read.
        temporary.write_bytes(save({name: state[name].contiguous() for name in sorted(state)}))


def read_run(folder: Path) -> RunDescription:
    """Return a run's run.json.

    Raises:
        UserError: there is none, or it is damaged.
    """
    content: RunDescription = read_json(folder / RUN_NAME, "run `skinlesion train` first", RunDescription)
    return content


def read_history(out: Path, run: Run) -> pd.DataFrame:
    """Return the training curves of a run: one row per epoch and phase.

    Raises:
        UserError: there are none, or they are damaged.
    """
    path, remedy = run_folder(out, run) / HISTORY_NAME, "run `skinlesion train` first"
    table = read_csv(path, ("phase", "epoch", "validation_loss"), remedy)
    if table.empty:
        raise UserError(f"{path}: no epoch; {_AGAIN}")
    check_words(path, table, ("phase",), remedy)
    values = ["epoch", *(name for name in table.columns if name.startswith(("train_", "validation_")))]
    check_numbers(path, table[values], remedy, finite=False)  # a loss may have been infinite
    if table["epoch"].isna().any():
        raise UserError(f"{path}: a row without its epoch; {_AGAIN}")
    return table


def load_weights(folder: Path, described: RunDescription, model: torch.nn.Module, prefix: str = "") -> None:
    """Load a run's weights into `model`, whose tensors have names in the file that begin with `prefix`.

    Args:
        described: the run's run.json.

    Raises:
        UserError: they are missing, not those that were trained, not finite, or do not fit the model.
    """
    path = folder / WEIGHTS_NAME
    check_readable(path, _AGAIN)
    problem = _problem_of_weights(folder, described)
    if problem:
        raise UserError(f"{path}: {problem}; {_AGAIN}")
    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file ({shown_problem(error)}); {_AGAIN}") from None
    check_finite(stored, f"{path}", _AGAIN)
    strange = [name for name in stored if not name.startswith(prefix)]
    try:
        if strange:
            raise RuntimeError(f"{strange[0]} does not begin with {prefix}")
        model.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in stored.items()}, strict=True)
    except RuntimeError as error:
        raise UserError(f"{path}: weights of another model ({shown_problem(error)}); {_AGAIN}") from None


def finish(folder: Path) -> None:
    """Remove the checkpoints of a run that is complete, and the lock of a process that was killed at its end."""
    for path in (*folder.glob("checkpoint-*.safetensors"), folder / _LOCK_NAME):
        path.unlink(missing_ok=True)


def environment(device: torch.device) -> dict[str, Any]:
    """Return versions and device, for run.json."""
    packages = ("torch", "torchvision", "timm", "numpy", "pandas", "scikit-learn")
    return {
        "versions": {"skinlesion": skinlesion.__version__, "python": platform.python_version()}
        | {package: version(package) for package in packages},
        "device": {"type": device.type, "name": device_name(device), "threads": torch.get_num_threads()},
    }
