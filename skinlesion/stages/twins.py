"""Which image-only experiment a multimodal one is to be held against."""

from typing import Any

from skinlesion.params import Params, TrainParams

#: Fields of `train` that only a model with metadata uses: twins may differ in them.
_METADATA_FIELDS = frozenset({
    "fusion", "metadata", "age", "embedding_width", "metadata_hidden", "metadata_batch_norm", "metadata_dropout",
    "record_dropout", "field_dropout", "attention_width", "attention_heads", "spatial_grid", "fusion_dropout",
})  # fmt: skip
_RUNS = frozenset({"folds", "seeds", "checkpoint_seconds", "device"})


def twin_of(params: Params, name: str) -> str | None:
    """Return the image-only experiment that differs from `name` in metadata alone; None where there is none.

    Folds and seeds may be others; of several the one with the most runs is taken.
    """
    mine = _image_settings(params.experiment(name))
    if params.experiment(name).fusion == "metadata_only":
        return None
    found = {
        other: params.experiment(other)
        for other in params.experiments
        if params.experiment(other).fusion == "none" and _image_settings(params.experiment(other)) == mine
    }
    return max(found, key=lambda other: len(found[other].folds) * len(found[other].seeds), default=None)


def _image_settings(settings: TrainParams) -> dict[str, Any]:
    return settings.model_dump(exclude=set(_METADATA_FIELDS | _RUNS))
