"""The controls of a multimodal experiment, found by their settings: what else was trained to judge its gain by."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from skinlesion.params import RUN_FIELDS, Params
from skinlesion.results.selection import twin_of

#: An experiment without metadata, and the same with metadata.
Arms = tuple[str, str]


@dataclass(frozen=True)
class Controls:
    """A multimodal experiment, its image-only twin and their controls; None or empty where there are none.

    Attributes:
        arms: the two experiments.
        placebo: the multimodal one with another training lesion's records.
        leaky: both arms split by image.
        injected: dose → both arms with up to so many images of tested lesions in training.
        tuned: both arms, each run with what its own validation part chose from one grid.
    """

    arms: Arms
    placebo: str | None
    leaky: Arms | None
    injected: Mapping[int, Arms]
    tuned: Arms | None


def placebo_of(params: Params, name: str) -> str | None:
    """Return the experiment that differs from `name` in its records alone, which are permuted; None without one."""
    return next((other for other, records in _variants(params, name, "records") if records == "permuted"), None)


def controls_of(params: Params, multimodal: str) -> Controls | None:
    """Return the controls of a multimodal experiment, None where it has no image-only twin or reads no metadata."""
    image = twin_of(params, multimodal)
    if image is None or params.experiment(multimodal).fusion == "none":
        return None
    arms = image, multimodal
    # Of injected ones the last epoch counts, so that numbers of epochs are equal.
    injected = _both(params, arms, "injected", free=("select", "epochs"))
    doses = {dose: names for dose, names in injected if dose is not None}
    return Controls(
        arms,
        placebo_of(params, multimodal),
        next((names for protocol, names in _both(params, arms, "protocol") if protocol == "image"), None),
        dict(sorted(doses.items())) if 0 in doses else {},
        next((names for grid, names in _both(params, arms, "tune") if any(grid.values())), None),
    )


def _both(params: Params, arms: Arms, field: str, free: Collection[str] = ()) -> list[tuple[Any, Arms]]:
    """Return the values of a field that both arms have a variant of, and those variants."""
    image, multimodal = (_variants(params, name, field, free) for name in arms)
    return [(value, (a, b)) for a, value in image for b, other in multimodal if value == other]


def _variants(params: Params, name: str, field: str, free: Collection[str] = ()) -> list[tuple[str, Any]]:
    """Return the experiments with the settings of `name` but for `field` (and `free` ones), and its values there."""
    left_out = {field, *free, *RUN_FIELDS}
    settings = {other: params.experiment(other).model_dump() for other in params.experiments}

    def fixed(fields: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in fields.items() if key not in left_out}

    return [(other, values[field]) for other, values in settings.items() if fixed(values) == fixed(settings[name])]
