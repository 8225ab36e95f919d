"""Refuses to train on weights that were pretrained on images the run is validated or tested on."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skinlesion.data.splits import of_repeat, table_hash
from skinlesion.errors import UserError, name_some
from skinlesion.experiment.inputs import Inputs
from skinlesion.training.pretraining_record import pretraining_records
from skinlesion.training.runs import Run


def origin(inputs: Inputs, fold: int, repeat: int) -> dict[str, Any]:
    """Return what says which images a fold's training part holds: protocol, fold, repeat and hash of the partition."""
    split = table_hash(of_repeat(inputs.split, repeat).sort_values("image_id"))
    return {"protocol": inputs.settings.protocol, "fold": fold, "repeat": repeat, "split": split}


def check_pretraining(inputs: Inputs, runs: Sequence[Run]) -> None:
    """Refuse runs on weights that `skinlesion pretrain` made from another training part than the run's own.

    Of another fold, protocol, repeat or split, the training part holds images that this run is validated or tested on.
    Weights without a record, from ImageNet say, pass.

    Raises:
        UserError: some run would be; the message names the file, what differs and the remedy.
    """
    weights = inputs.settings.weights
    if inputs.kind == "none" or not weights.endswith(".safetensors"):
        return
    for record in pretraining_records(Path(os.path.expanduser(weights))):
        for run in runs:
            expected = origin(inputs, run.fold, run.repeat)
            differing = [
                _words(name, record.get(name), expected[name])
                for name in expected
                if record.get(name) != expected[name]
            ]
            if differing:
                raise UserError(
                    f"train.weights: {weights} was pretrained on images that {run} is validated or tested on "
                    f"({', '.join(differing)}); use a file that `skinlesion pretrain --protocol {expected['protocol']} "
                    f"--fold {run.fold} --repeat {run.repeat}` makes, and train each fold on its own"
                )


def _words(name: str, seen: object, expected: object) -> str:
    if name == "split":
        return "another split"
    return f"{name} {name_some([seen])}, not {expected}"
