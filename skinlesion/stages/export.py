"""export: one trained run as ONNX, with a description of its inputs beside it."""

from pathlib import Path
from typing import Any

from skinlesion.errors import UserError
from skinlesion.experiment.onnx_export import is_onnx, write_onnx
from skinlesion.experiment.predictor import Predictor
from skinlesion.files import write_json
from skinlesion.outputs import check_outputs
from skinlesion.params import Params
from skinlesion.reading import read_json
from skinlesion.results.workspace import Workspace
from skinlesion.vocabulary import CLASSES

_NOTICE = "research software, not for diagnosis"


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
        "notice": _NOTICE,
    }
    write_json(beside, described)
    return described


def _is_description(path: Path) -> bool:
    """Return whether a file is the description that an earlier export wrote."""
    try:
        content = read_json(path, "")
    except UserError:
        return False
    return content.get("notice") == _NOTICE and "largest_difference" in content
