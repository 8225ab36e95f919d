"""export: one trained run as ONNX with a description of its inputs beside it, or as a folder for a model hub."""

import os
from pathlib import Path
from typing import Any

from skinlesion.atomic import replacing_folder
from skinlesion.errors import UserError
from skinlesion.experiment.hub_folder import (
    CARD_NAME,
    CONFIG_NAME,
    NOTICE,
    WEIGHTS_NAME,
    difference_from,
    hub_config,
    hub_weights,
    is_hub_folder,
    open_hub_folder,
)
from skinlesion.experiment.onnx_export import TOLERANCE, is_onnx, write_onnx
from skinlesion.experiment.predictor import Predictor
from skinlesion.files import write_json, write_text
from skinlesion.outputs import check_output_folder, check_outputs
from skinlesion.params import Params
from skinlesion.reading import read_json
from skinlesion.report.model_card import model_card
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from skinlesion.vocabulary import CLASSES


def export(params: Params, workspace: Workspace, name: str, fold: int, out: Path) -> dict[str, Any]:
    """Write one run (its first seed) as `out`.onnx with a description beside it; return the description.

    The description says how an image and a record become its inputs, and the largest difference that ONNX Runtime made
    on random ones.

    Raises:
        UserError: no such fold, something else lies at `out` or beside it, a model without image, the extra `onnx` is
            missing, or the two models disagree.
    """
    if out.suffix != ".onnx":
        raise UserError(f"--out {out}: name a file that ends in .onnx")
    beside = out.with_suffix(".json")
    check_outputs([out, beside], "--out", lambda path: _is_description(path) if path == beside else is_onnx(path))
    predictor = Predictor.open(params, workspace, name, fold)
    backbone, run, fitted = predictor.inputs.backbone, predictor.runs[0], predictor.fitted[0]
    if backbone is None:
        raise UserError(f"{name}: has no image model to export")
    difference = write_onnx(out, run)
    encoding = params.experiment(name).metadata
    described = {
        "experiment": name,
        **run.run._asdict(),
        "classes": list(CLASSES),
        "image": {
            "size": backbone.input_size,
            "mean": list(backbone.mean),
            "std": list(backbone.std),
            "channels": "bgr" if backbone.reversed_channels else "rgb",
        },
        "metadata": None if run.encoder is None else {"encoding": encoding, **run.encoder.state()},
        "calibrator": None if fitted is None else fitted.calibrator.state(),
        "largest_difference": difference,
        "notice": NOTICE,
    }
    write_json(beside, described)
    return described


def export_to_hub(params: Params, workspace: Workspace, name: str, fold: int, folder: Path) -> float:
    """Write one run (its first seed) as a folder in the form of the Hugging Face Hub; nothing is uploaded.

    README.md is the model card, model.safetensors the weights of backbone and head, config.json the settings, classes
    and what inputs must look like; `hub_folder.open_hub_folder` reads it.

    Returns:
        The largest difference of a probability between the folder's model and the run, on random images.

    Raises:
        UserError: no such fold, something else lies at `folder`, a model without image, a file that the card needs is
            missing, or the two models disagree; nothing is written then.
    """
    check_output_folder(folder.parent, "DIR", folder)
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir() or not _may_be_replaced(folder)):
        raise UserError(f"{folder}: already exists and was not written by this command; choose another folder")
    predictor = Predictor.open(params, workspace, name, fold)
    run, fitted = predictor.runs[0], predictor.fitted[0]
    if predictor.inputs.backbone is None:
        raise UserError(f"{name}: has no image model to export")
    card = model_card(Results(params, workspace), name, exported=run.run[:3])
    config = hub_config(run, params.prepare, name, None if fitted is None else fitted.calibrator.state())
    with replacing_folder(folder) as temporary:
        write_text(temporary / CARD_NAME, card)
        write_json(temporary / CONFIG_NAME, config)
        (temporary / WEIGHTS_NAME).write_bytes(hub_weights(run))
        difference = difference_from(run, open_hub_folder(temporary))
        if difference > TOLERANCE:
            raise UserError(f"{folder}: its model differs from the run by {difference:.2g}; nothing was written")
    return difference


def _may_be_replaced(folder: Path) -> bool:
    """Return whether a folder is empty, or holds what an earlier export wrote and nothing else."""
    names = {path.name for path in folder.iterdir()}
    return not names or (names <= {CARD_NAME, CONFIG_NAME, WEIGHTS_NAME} and is_hub_folder(folder))


def _is_description(path: Path) -> bool:
    """Return whether a file is the description that an earlier export wrote."""
    try:
        content = read_json(path, "")
    except UserError:
        return False
    return content.get("notice") == NOTICE and "largest_difference" in content
