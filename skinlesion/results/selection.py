"""Which experiments are shown in detail, and which image-only experiment a multimodal one is compared with.

Chosen on validation parts and parameters, never on test parts.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from skinlesion.evaluation.predictions import Predictions
from skinlesion.evaluation.registry import METRICS, Scored
from skinlesion.params import Params, TrainParams

#: Fields of `train` that only a model with metadata uses: twins may differ in them.
_METADATA_FIELDS = frozenset({
    "fusion", "metadata", "age", "embedding_width", "metadata_hidden", "metadata_batch_norm", "metadata_dropout",
    "record_dropout", "field_dropout", "attention_width", "attention_heads", "spatial_grid", "fusion_dropout",
})  # fmt: skip
_RUNS = frozenset({"folds", "seeds", "checkpoint_seconds", "device"})


def best_of_each_kind(
    params: Params, candidates: Iterable[str], balanced_accuracy: Callable[[str], float]
) -> dict[str, str]:
    """Return the best "image only" and the best "multimodal" experiment; a kind without candidates is left out.

    Only experiments that are split by lesion and see the image are considered. Those that ran on most folds come
    before others, so that both are tested on the same images where that can be.

    Args:
        candidates: names of experiments.
        balanced_accuracy: name → balanced accuracy on validation parts; asked of considered experiments only.
    """
    ranked: dict[str, list[tuple[int, float, str]]] = {"image only": [], "multimodal": []}
    for name in candidates:
        settings = params.experiment(name)
        if settings.protocol == "lesion" and settings.fusion != "metadata_only":
            kind = "image only" if settings.fusion == "none" else "multimodal"
            ranked[kind].append((len(settings.folds), balanced_accuracy(name), name))
    return {kind: max(experiments)[2] for kind, experiments in ranked.items() if experiments}


def mean_balanced_accuracy(predictions: Predictions) -> float:
    """Return the mean over seeds of the balanced accuracy, over the classes that are present."""
    metric = METRICS["balanced_accuracy"]
    return float(np.mean([metric.values(Scored(predictions.labels, layer)) for layer in predictions.probabilities]))


def twin_of(params: Params, name: str) -> str | None:
    """Return the image-only experiment that differs from `name` in metadata alone; None where there is none.

    Folds and seeds may be others; of several the one with the most runs is taken.
    """
    settings = params.experiment(name)
    if settings.fusion == "metadata_only":
        return None
    others = {other: params.experiment(other) for other in params.experiments}
    twins = {
        other: len(candidate.folds) * len(candidate.seeds)
        for other, candidate in others.items()
        if candidate.fusion == "none" and _image_settings(candidate) == _image_settings(settings)
    }
    return max(twins, key=lambda other: twins[other], default=None)


def _image_settings(settings: TrainParams) -> dict[str, Any]:
    return settings.model_dump(exclude=set(_METADATA_FIELDS | _RUNS))
