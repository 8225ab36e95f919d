"""A trained run as a folder of the Hugging Face Hub's form: weights as safetensors, and settings as config.json."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pydantic
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from typing_extensions import TypedDict

from skinlesion.data.frames import to_square
from skinlesion.data.photographs import read_photograph
from skinlesion.errors import UserError
from skinlesion.experiment.onnx_export import ProbabilityNetwork, random_inputs
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.models.backbones import Backbone, load_backbone
from skinlesion.models.classifier import FeatureClassifier, backbone_of, head_of
from skinlesion.models.fusion import image_features_of
from skinlesion.models.metadata_encoders import MetadataEncoder, restore_encoder
from skinlesion.params import PrepareParams, TrainParams
from skinlesion.reading import read_json, shown_problem
from skinlesion.vocabulary import CLASS_NAMES, CLASSES

WEIGHTS_NAME, CONFIG_NAME, CARD_NAME = "model.safetensors", "config.json", "README.md"
NOTICE = "research software, not for diagnosis"
_REMEDY = "give a folder that `skinlesion export --to hf` wrote"

_Section = TypeVar("_Section", bound=pydantic.BaseModel)


class _Image(TypedDict):
    size: int
    interpolation: str
    mean: list[float]
    std: list[float]
    channels: str


class _Config(TypedDict):
    """config.json; further entries are for readers."""

    notice: str
    classes: list[str]
    image: _Image
    metadata: dict[str, Any] | None
    train: dict[str, Any]
    prepare: dict[str, Any]


@dataclass(frozen=True)
class HubModel:
    """A model that was read from such a folder."""

    backbone: Backbone
    head: FeatureClassifier
    encoder: MetadataEncoder | None
    settings: TrainParams
    prepare: PrepareParams

    @torch.inference_mode()
    def probabilities(self, photographs: Sequence[Path | str], records: pd.DataFrame | None = None) -> np.ndarray:
        """Return uncalibrated probabilities (B, 7) of photographs, classes in the order of config.json.

        Args:
            records: age (years), sex and localization of each, for a model that takes them; a missing value is NaN or
                "unknown".

        Raises:
            UserError: a file is no photograph, or records are missing or not as many.
        """
        frames = [read_photograph(Path(path), self.prepare) for path in photographs]
        size = self.backbone.input_size
        squares = np.stack([to_square(frame, self.settings.square, size) for frame in frames])
        return self.of_pixels(self.backbone.preprocess(torch.from_numpy(squares)), records)

    @torch.inference_mode()
    def of_pixels(self, images: torch.Tensor, records: pd.DataFrame | None = None) -> np.ndarray:
        """Return the same of normalised images (B, 3, s, s)."""
        encoded = None
        if self.encoder is not None:
            if records is None or len(records) != len(images):
                raise UserError("records: this model takes age, sex and localization of every photograph")
            encoded = torch.from_numpy(self.encoder.encode(records))
        features = self.backbone.features(
            self.backbone.module, images, self.head.fusion.image, self.settings.spatial_grid
        )
        answers: np.ndarray = self.head(features.float(), encoded).softmax(dim=1).numpy()
        return answers


def hub_config(run: TrainedRun, prepare: PrepareParams, experiment: str, calibrator: Any) -> dict[str, Any]:
    """Return config.json of a run: classes, what its inputs must look like, and the settings it was trained with.

    Args:
        calibrator: what was fitted on its validation part, None where it was not assessed.
    """
    backbone = run.inputs.backbone
    assert backbone is not None
    settings = run.inputs.settings
    return {
        "architectures": ["skinlesion"],
        "model_type": "skinlesion",
        "notice": NOTICE,
        "experiment": experiment,
        **run.run._asdict(),
        "classes": list(CLASSES),
        "id2label": {str(place): CLASS_NAMES[dx] for place, dx in enumerate(CLASSES)},
        "label2id": {CLASS_NAMES[dx]: place for place, dx in enumerate(CLASSES)},
        "image": {
            "size": backbone.input_size,
            "interpolation": backbone.interpolation,
            "mean": list(backbone.mean),
            "std": list(backbone.std),
            "channels": "bgr" if backbone.reversed_channels else "rgb",
        },
        "metadata": None if run.encoder is None else {"encoding": settings.metadata, **run.encoder.state()},
        "calibrator": calibrator,
        "train": settings.model_dump(mode="json") | {"weights": Path(settings.weights).name},  # no folder of ours
        "prepare": prepare.model_dump(mode="json"),
        "data": run.description["data"],
    }


def hub_weights(run: TrainedRun) -> bytes:
    """Return the tensors of backbone and head as safetensors, in the order of their names."""
    backbone = run.inputs.backbone
    assert backbone is not None
    parts = {"backbone": backbone_of(run.model, backbone), "head": head_of(run.model)}
    state = {f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()}
    return save({name: state[name].detach().cpu().contiguous().clone() for name in sorted(state)}, {"format": "pt"})


def open_hub_folder(folder: Path | str) -> HubModel:
    """Return the model of a folder that `skinlesion export --to hf` wrote, on the CPU; nothing is downloaded.

    Raises:
        UserError: a file is missing or damaged, or the weights do not fit the settings.
    """
    folder = Path(folder)
    config = read_json(folder / CONFIG_NAME, _REMEDY, _Config)
    settings = _section(config["train"], TrainParams, folder, "train")
    prepare = _section(config["prepare"], PrepareParams, folder, "prepare")
    image, state = config["image"], dict(config["metadata"] or {})
    made = load_backbone(settings.backbone, "none", image["size"], settings.input_scaling)
    backbone = replace(
        made,
        interpolation=image["interpolation"],
        mean=tuple(image["mean"]),
        std=tuple(image["std"]),
        reversed_channels=image["channels"] == "bgr",
    )
    encoder = restore_encoder(state.pop("encoding"), state, str(folder / CONFIG_NAME)) if state else None
    fields = () if encoder is None else encoder.fields
    width = made.map_width if image_features_of(settings.fusion) == "map" else made.width
    head = FeatureClassifier(settings, width, fields)
    path = folder / WEIGHTS_NAME
    try:
        stored = load_file(path)
        for part, module in (("backbone", backbone.module), ("head", head)):
            part_state = {name.partition(".")[2]: stored[name] for name in stored if name.startswith(f"{part}.")}
            module.load_state_dict(part_state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{path}: {shown_problem(error)}; {_REMEDY}") from None
    return HubModel(backbone, head.eval(), encoder, settings, prepare)


def _section(content: dict[str, Any], model: type[_Section], folder: Path, name: str) -> _Section:
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        place = ".".join([name, *(str(part) for part in problem["loc"])])
        raise UserError(f"{folder / CONFIG_NAME}: {place}: {problem['msg']}; {_REMEDY}") from None


def difference_from(run: TrainedRun, model: HubModel) -> float:
    """Return the largest difference of a probability between a run and what was read back, on random inputs."""
    inputs = random_inputs(run)
    with torch.inference_mode():
        expected = ProbabilityNetwork(run).cpu().eval()(*inputs)
        features = model.backbone.features(
            model.backbone.module, inputs[0], model.head.fusion.image, model.settings.spatial_grid
        )
        actual = model.head(features.float(), inputs[1] if len(inputs) > 1 else None).softmax(dim=1)
    return float((actual - expected).abs().max())


def is_hub_folder(folder: Path) -> bool:
    """Return whether a folder was written by `skinlesion export --to hf`."""
    try:
        return bool(read_json(folder / CONFIG_NAME, "", _Config)["notice"] == NOTICE)
    except UserError:
        return False
