"""Predicted probabilities: the only place where trained models are evaluated on images and records."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from skinlesion.errors import UserError
from skinlesion.models.classifier import ImageClassifier, head_of
from skinlesion.training.batch_sizes import EVALUATION
from skinlesion.training.examples import Examples, PixelExamples

#: Places (B,) among the images, and what a model looks at there: features, or pixels for a model that has a backbone
#: of its own, or None for models of metadata alone.
ImageBatch = tuple[torch.Tensor, torch.Tensor | None]


def image_batches(examples: Examples) -> Iterator[ImageBatch]:
    """Yield the images of all examples in order, in batches of the size for evaluation."""
    size = EVALUATION["pixels" if isinstance(examples, PixelExamples) else "features"]
    places = torch.arange(len(examples)).split(size)
    for batch_places, batch in zip(places, examples.batches(places), strict=True):
        yield batch_places, batch.image


@torch.inference_mode()
def probabilities(
    models: Sequence[nn.Module],
    views: Iterable[Iterable[ImageBatch]],
    records: Sequence[Sequence[torch.Tensor | None]],
    *,
    bf16: bool = False,
) -> np.ndarray:
    """Return probabilities (models, versions, N, 7) in float64 of N images, averaged over views of them.

    A model sees each image once, whatever the number of versions of the records.

    Args:
        models: classifiers of features, or whole networks.
        views: the batches of all images in order, once per view.
        records: for each model the versions of the images' encoded metadata, each (N, M) on the device; None for
            models without metadata.
        bf16: bfloat16 arithmetic, as the models were trained with.

    Raises:
        UserError: a probability is not a number.
    """
    by_view = []
    for view in views:
        batches = [
            [_logits(model, image, versions, places, bf16) for model, versions in zip(models, records, strict=True)]
            for places, image in view
        ]
        logits = [torch.cat(parts, dim=1) for parts in zip(*batches, strict=True)]  # each (versions, N, 7)
        by_view.append(torch.stack(logits).double().softmax(dim=-1))
    mean: np.ndarray = torch.stack(by_view).mean(dim=0).cpu().numpy()
    if not np.isfinite(mean).all():
        raise UserError(
            "a model answers with NaN: its weights, the frozen features or the records are damaged; run `skinlesion "
            "train` again"
        )
    return mean


def _logits(
    model: nn.Module,
    image: torch.Tensor | None,
    versions: Sequence[torch.Tensor | None],
    places: torch.Tensor,
    bf16: bool,
) -> torch.Tensor:
    """Return logits (versions, B, 7) of a batch."""
    head = head_of(model.eval())
    device = next(model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        features = image
        if isinstance(model, ImageClassifier):
            assert image is not None
            features = model.image_features(image)
        logits = [
            head(features, None if version is None else version[places.to(version.device)]).float()
            for version in versions
        ]
    return torch.stack(logits)
