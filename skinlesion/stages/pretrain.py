"""pretrain: a backbone's weights from the training images of one fold, without their labels."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from skinlesion.code_version import code_version
from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.pretraining_guard import origin
from skinlesion.files import sha256_json
from skinlesion.numbers import number
from skinlesion.params import Params, TrainParams
from skinlesion.results.workspace import Workspace
from skinlesion.training.device import check_precision
from skinlesion.training.examples import PixelStore
from skinlesion.training.memory import keep_freed_memory
from skinlesion.training.pretraining import VIEWS, PretrainSettings, pretrain_backbone
from skinlesion.training.pretraining_record import save_pretrained
from skinlesion.training.runs import environment


def pretrain(
    params: Params, workspace: Workspace, settings: TrainParams, how: PretrainSettings, out: Path
) -> dict[str, Any]:
    """Write a backbone pretrained on one fold's training part as `out`, with a record beside it; return the record.

    Images of the validation and the test part are not read. A pretraining that was cut off goes on after its last
    epoch. The file is one for `train.weights`; runs of other folds, protocols, repeats or splits refuse it.

    Args:
        settings: backbone, first weights, input size, precision and device; protocol; one fold and one repeat.

    Raises:
        UserError: the prepared data, the split, the backbone or lightly cannot be had, or an option is wrong.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out}: name a file that ends in .safetensors")
    if settings.weights not in ("imagenet", "none"):
        raise UserError(f"--weights {settings.weights}: start from imagenet or none")
    code = code_version("stages.pretrain")  # of the code that this process runs, whatever is edited meanwhile
    inputs = Inputs(workspace, settings, params.split)
    (fold,), (repeat,) = settings.folds, settings.repeats
    rows = inputs.rows(fold, "train", repeat)
    check_precision(settings.precision, inputs.device)
    backbone = inputs.backbone
    assert backbone is not None
    keep_freed_memory()
    described: dict[str, Any] = {
        "method": "SimCLR",
        "settings": asdict(how) | {"precision": settings.precision, "views": asdict(VIEWS)},
        "backbone": backbone.description(),
        "first_weights": settings.weights,
        **origin(inputs, fold, repeat),
        "images": inputs.described["images_sha256"],
        "trained_on": len(rows),
        "code": code,
        **environment(inputs.device),
    }
    images = inputs.images
    if inputs.device.type == "cuda":  # which holds a copy of all images that it is given: of the training part alone
        images, rows = images[rows], np.arange(len(rows))
    checkpoint = out.with_suffix(".checkpoint.safetensors")

    def report(row: dict[str, Any]) -> None:
        text = f"epoch {row['epoch']} of {how.epochs}: loss {number(row['loss'], 4)}"
        print(f"pretrain {backbone.name} fold {fold} {text}", file=sys.stderr, flush=True)

    weights, history = pretrain_backbone(
        backbone, PixelStore(images, inputs.device), rows, how,
        precision=settings.precision, seed=(how.seed, fold, repeat),
        checkpoint=checkpoint, fingerprint=sha256_json(described), report=report,
    )  # fmt: skip
    record = described | {"history": history}
    save_pretrained(out, weights, record)
    checkpoint.unlink(missing_ok=True)
    return record
