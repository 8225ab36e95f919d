"""export: one trained run as ONNX, with a description of its inputs beside it."""

from pathlib import Path
from typing import Any

from skinlesion.errors import UserError
from skinlesion.experiment.onnx_export import write_onnx
from skinlesion.experiment.predictor import Predictor
from skinlesion.files import write_json
from skinlesion.params import Params
from skinlesion.results.workspace import Workspace
from skinlesion.vocabulary import CLASSES


def export(params: Params, workspace: Workspace, name: str, fold: int, out: Path) -> dict[str, Any]:
    """Write one run (its first seed) as `out`.onnx with a description beside it; return the description.

    The description says how an image and a record become its inputs, and the largest difference that ONNX Runtime made
    on random ones.

    Raises:
        UserError: no such fold, a model without image, the extra `onnx` is missing, or the two models disagree.
    """
    if out.suffix != ".onnx":
        raise UserError(f"--out {out}: name a file that ends in .onnx")
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
        "image": {"size": backbone.input_size, "mean": list(backbone.mean), "std": list(backbone.std)},
        "metadata": None if run.encoder is None else {"encoding": encoding, **run.encoder.state()},
        "calibrator": None if fitted is None else fitted.calibrator.state(),
        "largest_difference": difference,
        "notice": "research software, not for diagnosis",
    }
    write_json(out.with_suffix(".json"), described)
    return described
