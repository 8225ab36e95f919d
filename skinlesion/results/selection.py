"""Which experiments are shown in detail, and which image-only experiment a multimodal one is compared with.

Chosen by parameters and by validation parts. A run's own test part is never looked at; but validation parts are pooled
over folds, and each is part of the next fold's test part. So the figures of an experiment that is chosen here are not
independent of the choice: they say how good it is, not how good the best of several is on lesions that had no say.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from skinlesion.evaluation.predictions import ABSENT, Predictions
from skinlesion.evaluation.registry import METRICS, Scored
from skinlesion.params import RUN_FIELDS, Params, TrainParams

#: Fields of `train` that only a model with metadata uses: twins may differ in them.
_METADATA_FIELDS = frozenset({
    "fusion", "records", "metadata", "age", "embedding_width", "metadata_hidden", "metadata_batch_norm",
    "metadata_layer_dropout", "metadata_dropout", "record_dropout", "field_dropout", "attention_width",
    "attention_heads", "spatial_grid",
})  # fmt: skip


def best_of_each_kind(
    params: Params, candidates: Iterable[str], balanced_accuracy: Callable[[str], float]
) -> dict[str, str]:
    """Return the best "image only" and the best "multimodal" experiment; a kind without candidates is left out.

    Only experiments that are split by lesion and see the image are considered, and no controls: neither a placebo nor
    one with the leak injected. Those that ran on most folds come before others, so that both are tested on the same
    images where that can be.

    Args:
        candidates: names of experiments.
        balanced_accuracy: name → balanced accuracy on validation parts; asked of considered experiments only.
    """
    ranked: dict[str, list[tuple[int, float, str]]] = {"image only": [], "multimodal": []}
    for name in candidates:
        settings = params.experiment(name)
        control = settings.records != "own" or settings.injected is not None
        if settings.protocol == "lesion" and settings.fusion != "metadata_only" and not control:
            kind = "image only" if settings.fusion == "none" else "multimodal"
            ranked[kind].append((len(settings.folds), balanced_accuracy(name), name))
    return {kind: max(experiments)[2] for kind, experiments in ranked.items() if experiments}


def mean_balanced_accuracy(predictions: Predictions) -> float:
    """Return the mean over layers of the balanced accuracy on the images each holds, over the classes present."""
    metric, values = METRICS["balanced_accuracy"], []
    for folds, probabilities in zip(predictions.folds, predictions.probabilities, strict=True):
        held = folds != ABSENT
        values.append(metric.values(Scored(predictions.labels[held], probabilities[held])))
    return float(np.mean(values))


def twin_of(params: Params, name: str) -> str | None:
    """Return the image-only experiment that differs from `name` in metadata alone; None where there is none.

    Folds, seeds and repeats may be others; of several the one with the most runs is taken.
    """
    settings = params.experiment(name)
    if settings.fusion == "metadata_only":
        return None
    others = {other: params.experiment(other) for other in params.experiments}
    twins = {
        other: len(candidate.folds) * len(candidate.seeds) * len(candidate.repeats)
        for other, candidate in others.items()
        if candidate.fusion == "none" and _image_settings(candidate) == _image_settings(settings)
    }
    return max(twins, key=lambda other: twins[other], default=None)


def differ_in_metadata_alone(image: TrainParams, multimodal: TrainParams) -> bool:
    """Return whether two experiments have all settings in common but those of metadata and of which runs there are."""
    return _image_settings(image) == _image_settings(multimodal)


def _image_settings(settings: TrainParams) -> dict[str, Any]:
    return settings.model_dump(exclude=set(_METADATA_FIELDS | RUN_FIELDS))
