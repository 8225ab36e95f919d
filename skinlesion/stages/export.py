"""export: one trained run as ONNX, checked against the model it came from."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from skinlesion.errors import UserError
from skinlesion.files import replacing, write_json
from skinlesion.models.classifier import ImageClassifier
from skinlesion.params import Params
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.predictor import Predictor
from skinlesion.stages.workspace import Workspace
from skinlesion.vocabulary import CLASSES

#: Largest difference of a probability between ONNX Runtime and torch that is taken for rounding.
TOLERANCE = 1e-4
_CHECKED = 4  # images of the parity check


class Exported(nn.Module):
    """Normalised images (B, 3, s, s) and encoded metadata (B, M), where it has any, to probabilities (B, 7)."""

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        assert inputs.backbone is not None
        own = isinstance(model, ImageClassifier)
        self.body: Any = model.backbone if own else inputs.backbone.module
        self.head: Any = model.head if own else model
        self._features, self._kind, self._grid = inputs.backbone.features, inputs.kind, inputs.settings.spatial_grid

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        features = self._features(self.body, image, self._kind, self._grid)
        probabilities: torch.Tensor = self.head(features, metadata).softmax(dim=1)
        return probabilities


def export(params: Params, workspace: Workspace, name: str, fold: int, out: Path) -> dict[str, Any]:
    """Write one run (its first seed) as `out`.onnx with a description beside it; return the description.

    The description says how an image and a record become its inputs, and the largest difference that ONNX Runtime made
    on random ones.

    Raises:
        UserError: no such fold, a model without image, the extra `onnx` is missing, or the two models disagree.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError("export: onnxruntime is not installed; pip install 'skinlesion[onnx]'") from None
    if out.suffix != ".onnx":
        raise UserError(f"--out {out}: name a file that ends in .onnx")
    predictor = Predictor.open(params, workspace, name, fold)
    inputs, run = predictor.inputs, predictor.members[0]
    if inputs.backbone is None:
        raise UserError(f"{name}: has no image model to export")
    model = Exported(run.model, inputs).cpu().eval()
    generator = torch.Generator().manual_seed(0)
    size = inputs.backbone.input_size
    example = [torch.randn(_CHECKED, 3, size, size, generator=generator)]
    if run.encoder is not None:
        width = run.encoder.fields[-1].columns.stop
        example.append(torch.rand(_CHECKED, width, generator=generator).round())
    names = ["image", "metadata"][: len(example)]
    batch = torch.export.Dim("batch", min=1)
    with replacing(out) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's remarks on names and opsets are not the user's business
        program = torch.onnx.export(
            model, tuple(example), input_names=names, output_names=["probabilities"], dynamo=True, verbose=False,
            dynamic_shapes={part: {0: batch} for part in names},
        )  # fmt: skip
        assert program is not None
        program.save(temporary, external_data=False)
        session = onnxruntime.InferenceSession(temporary.read_bytes(), providers=["CPUExecutionProvider"])
        given = {part: tensor.numpy() for part, tensor in zip(names, example, strict=True)}
        with torch.no_grad():
            expected = model(*example).numpy()
        difference = float(np.abs(session.run(None, given)[0] - expected).max())
        if difference > TOLERANCE:
            raise UserError(f"{name}: ONNX Runtime differs from torch by {difference:.2g}; nothing was written")
    described = {
        "experiment": name,
        "fold": run.fold,
        "seed": run.seed,
        "classes": list(CLASSES),
        "image": {"size": size, "mean": list(inputs.backbone.mean), "std": list(inputs.backbone.std)},
        "metadata": None if run.encoder is None else {"encoding": inputs.settings.metadata, **run.encoder.state()},
        "calibrator": None if run.fitted is None else run.fitted.calibrator.state(),
        "largest_difference": difference,
        "notice": "research software, not for diagnosis",
    }
    write_json(out.with_suffix(".json"), described)
    return described
