"""Checkpoints: the state of an unfinished run in one safetensors file that is replaced whole."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from typing_extensions import TypedDict

from skinlesion.atomic import replacing
from skinlesion.errors import UserError
from skinlesion.reading import fitting

State = dict[str, torch.Tensor]


@dataclass
class Progress:
    """Where training stands after an epoch: everything needed to go on as if nothing had happened."""

    epoch: int
    model: State
    best: State
    optimizer: dict[str, Any]  # torch's own state_dict: {"state": {index: {name: tensor}}, "param_groups": […]}
    best_epoch: int
    best_value: float  # NaN before the first epoch
    history: list[dict[str, Any]]
    average: State = field(default_factory=dict)  # of the weights, where there is one
    average_steps: int = 0


class _Header(TypedDict):
    """What a checkpoint says besides tensors."""

    fingerprint: str
    epoch: int
    best_epoch: int
    best_value: float
    average_steps: int
    history: list[dict[str, Any]]
    param_groups: list[dict[str, Any]]


def save_checkpoint(path: Path, progress: Progress, fingerprint: str) -> None:
    """Write `progress` under the fingerprint of configuration, data and code that it belongs to."""
    tensors = {f"model/{name}": value for name, value in progress.model.items()}
    tensors |= {f"best/{name}": value for name, value in progress.best.items()}
    tensors |= {f"average/{name}": value for name, value in progress.average.items()}
    for index, state in progress.optimizer["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
    header = {
        "fingerprint": fingerprint,
        "epoch": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_value": progress.best_value,
        "average_steps": progress.average_steps,
        "history": progress.history,
        "param_groups": progress.optimizer["param_groups"],
    }
    with replacing(path) as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, {"run": json.dumps(header)})


def load_checkpoint(path: Path, fingerprint: str, device: torch.device) -> Progress | None:
    """Return what `save_checkpoint` wrote, or None: no file, unreadable, or of another fingerprint."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            header: _Header = fitting(json.loads(stored.metadata()["run"]), _Header, str(path), "")
            if header["fingerprint"] != fingerprint:
                return None
            tensors = {name: stored.get_tensor(name).to(device) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError, UserError):
        return None

    def part(prefix: str) -> State:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    moments: dict[int, State] = {}
    for name, value in part("optimizer/").items():
        index, _, key = name.partition("/")
        moments.setdefault(int(index), {})[key] = value
    return Progress(
        epoch=header["epoch"],
        model=part("model/"),
        best=part("best/"),
        optimizer={"state": moments, "param_groups": header["param_groups"]},
        best_epoch=header["best_epoch"],
        best_value=header["best_value"],
        history=header["history"],
        average=part("average/"),
        average_steps=header["average_steps"],
    )
