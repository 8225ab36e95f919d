"""Export of a trained model to ONNX, checked against the model it came from."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from skinlesion.atomic import replacing
from skinlesion.errors import UserError
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.extras import not_installed
from skinlesion.models.classifier import backbone_of, head_of
from skinlesion.outputs import first_bytes

#: Largest difference of a probability between ONNX Runtime and torch that is taken for rounding.
TOLERANCE = 1e-4
_PRODUCER = "skinlesion"  # in the header of the file, which tells it from files that others wrote
_HEADER = 100  # bytes
_CHECKED = 4  # images of the parity check


class ProbabilityNetwork(nn.Module):
    """Normalised images (B, 3, s, s) and encoded metadata (B, M), where there are any, to probabilities (B, 7)."""

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        inputs = run.inputs
        assert inputs.backbone is not None
        self.body, self.head = backbone_of(run.model, inputs.backbone), head_of(run.model)
        self._features, self._kind, self._grid = inputs.backbone.features, inputs.kind, inputs.settings.spatial_grid

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        features = self._features(self.body, image, self._kind, self._grid)
        probabilities: torch.Tensor = self.head(features, metadata).softmax(dim=1)
        return probabilities


def write_onnx(path: Path, run: TrainedRun) -> float:
    """Write a run's network and return the largest difference of a probability that ONNX Runtime made on random input.

    Raises:
        UserError: the extra `onnx` is missing, or the two models disagree; nothing is written then.
    """
    try:
        import onnxruntime
    except ImportError:
        raise not_installed("onnxruntime", "export") from None
    model = ProbabilityNetwork(run).cpu().eval()
    example = random_inputs(run)
    names = ["image", "metadata"][: len(example)]
    batch = torch.export.Dim("batch", min=1)
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's remarks on names and opsets are not the user's business
        program: Any = torch.onnx.export(
            model, tuple(example), input_names=names, output_names=["probabilities"], dynamo=True, verbose=False,
            dynamic_shapes={name: {0: batch} for name in names},
        )  # fmt: skip
        program.model.producer_name = _PRODUCER
        program.save(temporary, external_data=False)
        session = onnxruntime.InferenceSession(temporary.read_bytes(), providers=["CPUExecutionProvider"])
        feed = {name: tensor.numpy() for name, tensor in zip(names, example, strict=True)}
        with torch.no_grad():
            expected = model(*example).numpy()
        difference = float(np.abs(session.run(None, feed)[0] - expected).max())
        if difference > TOLERANCE:
            raise UserError(f"{path}: ONNX Runtime differs from torch by {difference:.2g}; nothing was written")
    return difference


def random_inputs(run: TrainedRun) -> list[torch.Tensor]:
    """Return random inputs: images, and records where the model takes them."""
    generator = torch.Generator().manual_seed(0)
    assert run.inputs.backbone is not None
    size = run.inputs.backbone.input_size
    example = [torch.randn(_CHECKED, 3, size, size, generator=generator)]
    if run.encoder is not None:
        width = run.encoder.fields[-1].columns.stop
        example.append(torch.rand(_CHECKED, width, generator=generator).round())
    return example


def is_onnx(path: Path) -> bool:
    """Return whether a file was written by `write_onnx`."""
    return _PRODUCER.encode() in first_bytes(path, _HEADER)
