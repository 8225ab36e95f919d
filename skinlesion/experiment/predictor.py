"""Prediction: all trained runs of an experiment on any photographs, calibrated, with sets and decisions."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from skinlesion.errors import UserError
from skinlesion.evaluation.conformal import ConformalSets
from skinlesion.evaluation.decisions import risk_of
from skinlesion.evaluation.predictions import (
    ABSENT,
    Predictions,
    read_validation,
    restrict_images,
    restrict_repeats,
)
from skinlesion.evaluation.prevalence import PrevalenceCalibration, calibrate_to_prevalence
from skinlesion.evaluation.recalibration import Calibrator, restore_calibrator
from skinlesion.experiment.inputs import Inputs, test_view
from skinlesion.experiment.probabilities import ImageBatch, probabilities
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.interpret.neighbours import Neighbours
from skinlesion.models.batch_norm_folding import fold_batch_norm
from skinlesion.params import Params
from skinlesion.reading import read_json
from skinlesion.results.names import NOTES_NAME, VALIDATION_NAME
from skinlesion.results.shapes import AssessmentNotes
from skinlesion.results.workspace import Workspace
from skinlesion.training.batch_sizes import FEATURES
from skinlesion.training.features import forward, preprocess
from skinlesion.training.runs import Run

#: What a model looks at, by the fusions that leave something out.
_SEES = {"none": "image", "metadata_only": "record"}

_IMAGE_ONLY = {"fusion": "none", "regime": "frozen"}


@dataclass(frozen=True)
class Fitted:
    """What `assess` fitted on a run's validation part."""

    calibrator: Calibrator
    conformal: ConformalSets
    thresholds: dict[str, float | None]  # of the risk of malignancy, by rule

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Fitted":
        """Return it as notes.json of the assessment has it.

        Raises:
            UserError: something that `assess` does not write.
        """
        if "malignant" not in content["thresholds"]:
            raise UserError("thresholds: malignant missing")
        return cls(
            restore_calibrator(content["calibrator"]),
            ConformalSets.restore(content["conformal"]),
            content["thresholds"]["malignant"],
        )


@dataclass(frozen=True)
class Answers:
    """What an experiment predicts for B images; the last two are empty where it was not assessed.

    The answer need not be the likeliest class. Answers follow the rule whose sensitivities `evaluate` reports, in which
    classes weigh what they weighed in training, as a rule the same. Probabilities are those of images among which
    classes are as common as in the data. The likeliest class by these would miss far more melanomas.
    """

    answers: np.ndarray  # (B,) positions of classes
    probabilities: np.ndarray  # (B, 7), mean over runs, at the prevalence of the validation images where that is known
    malignant: np.ndarray  # (B,) risk, of the same probabilities
    sets: np.ndarray | None  # (B, 7) bool: diagnoses that most runs leave open
    calls: dict[str, np.ndarray]  # rule → (B,) bool: malignant by most runs' thresholds


class Predictor:
    """The runs of one experiment: of one fold, or of all of them as an ensemble."""

    def __init__(
        self,
        inputs: Inputs,
        runs: Sequence[TrainedRun],
        fitted: Sequence[Fitted | None],
        prevalence: PrevalenceCalibration | None = None,
    ) -> None:
        """Take trained runs, for each what was fitted on its validation part, and what was fitted on all of them."""
        self.inputs, self.runs, self.fitted, self.prevalence = inputs, runs, fitted, prevalence
        self._frozen = inputs.backbone  # with the weights it was loaded with, batch normalisation folded
        if inputs.backbone is not None:
            self._frozen = replace(inputs.backbone, module=_for_prediction(inputs.backbone.module, inputs))

    @classmethod
    def open(cls, params: Params, workspace: Workspace, name: str, fold: int | None = None) -> "Predictor":
        """Return the predictor of an experiment that was trained in `models/`: the runs of its first repeat.

        Raises:
            UserError: no such experiment or fold, or a run that was not trained.
        """
        settings = params.experiment(name)
        if fold is not None and fold not in settings.folds:
            raise UserError(f"--fold {fold}: {name} has folds {', '.join(map(str, settings.folds))}")
        inputs = Inputs(workspace, settings, params.split)
        fitted = _fitted(workspace, name)
        folds = settings.folds if fold is None else [fold]
        runs = [
            TrainedRun.open(inputs, workspace.model(name), Run(number, seed, settings.repeats[0]), any_version=True)
            for number in folds
            for seed in settings.seeds
        ]
        if settings.fine_tunes:
            for run in runs:
                run.model.backbone = _for_prediction(run.model.backbone, inputs)
        validation = workspace.results(name) / VALIDATION_NAME
        prevalence = None
        if validation.exists():
            prevalence = calibrate_to_prevalence(_of_repeat(validation, settings.repeats[0]))
        return cls(inputs, runs, [fitted.get(run.run) for run in runs], prevalence)

    @property
    def sees(self) -> str:
        """What the models look at: "image", "record", or "image and record"."""
        return _SEES.get(self.inputs.settings.fusion, "image and record")

    @property
    def source(self) -> str:
        """Where the training images came from, as `data.source` names it."""
        return self.runs[0].description["data"]["source"]

    @property
    def synthetic(self) -> bool:
        """Whether the training images are drawn images of nobody."""
        return self.runs[0].description["data"]["synthetic"]

    @property
    def calibrated(self) -> bool:
        """Whether every run has a calibrator, sets and thresholds."""
        return all(fitted is not None for fitted in self.fitted)

    def answer(self, images: np.ndarray, metadata: pd.DataFrame) -> Answers:
        """Return what the runs predict for images (B, S, S, 3) uint8 with B rows of age, sex and localization."""
        return self.combine(self.probabilities(images, metadata))

    def answer_with_features(self, images: np.ndarray, metadata: pd.DataFrame) -> tuple[Answers, np.ndarray]:
        """Return the same and `pooled` of the images, in one pass through the backbone where the runs share it."""
        views = self._views(self._on_device(images))
        settings, features = self.inputs.settings, views[0][0][1]
        shared = features is not None and self.inputs.kind == "pooled" and not settings.fine_tunes
        pooled = features.cpu().numpy() if features is not None and shared else self.pooled(images)
        return self.combine(self._ask(views, metadata)), pooled

    def probabilities(self, images: np.ndarray, records: pd.DataFrame) -> np.ndarray:
        """Return uncalibrated probabilities (R, B, 7), averaged over the views of test-time augmentation.

        Args:
            images: (B, S, S, 3) uint8, one batch.
            records: B rows of age, sex and localization.
        """
        return self._ask(self._views(self._on_device(images)), records)

    def _ask(self, views: Sequence[Sequence[ImageBatch]], records: pd.DataFrame) -> np.ndarray:
        models = [run.model for run in self.runs]
        encoded = [[run.encode(records)] for run in self.runs]
        return probabilities(models, views, encoded, bf16=self.runs[0].bf16)[:, 0]

    def _views(self, batch: torch.Tensor) -> list[list[ImageBatch]]:
        return [self._view(batch, number) for number in range(self.inputs.views)]

    @torch.inference_mode()
    def _view(self, batch: torch.Tensor, number: int) -> list[ImageBatch]:
        """Return what every run looks at: frozen features, or pixels for runs with backbones of their own."""
        return [(torch.arange(len(batch)), self._features(batch, number))]

    def _features(self, batch: torch.Tensor, number: int) -> torch.Tensor | None:
        if self._frozen is None:
            return None
        view = test_view(number)
        drawn = view.draw(len(batch), 0)
        if self.inputs.settings.fine_tunes:
            return preprocess(self._frozen, batch, drawn)
        return forward(self._frozen, batch, self.inputs.request(view), drawn).float()

    def _on_device(self, images: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.require(images, requirements=["C", "W"])).to(self.inputs.device)

    @torch.inference_mode()
    def pooled(self, images: np.ndarray) -> np.ndarray:
        """Return the frozen backbone's pooled features (B, F) of images (B, S, S, 3) uint8, for `Neighbours`."""
        assert self._frozen is not None
        return forward(self._frozen, self._on_device(images), self._plain.request(), None).cpu().numpy()

    def neighbours(self) -> Neighbours | None:
        """Return the prepared images by the same features; None without an image model or prepared data.

        The first call computes the features of all prepared images, unless training left them in the cache.
        """
        if self.seconds_for_neighbours() is None:
            return None
        plain = self._plain
        return Neighbours(plain.features().array, plain.lesions)

    @property
    def _plain(self) -> Inputs:
        """Return inputs whose features are the pooled ones of the unchanged prepared images."""
        return self.inputs.sharing_backbone(settings=self.inputs.settings.model_copy(update=_IMAGE_ONLY))

    def seconds_for_neighbours(self) -> float | None:
        """Return about how long `neighbours` computes features: 0 where they are cached, None where there are none."""
        inputs = self.inputs
        if inputs.backbone is None or not inputs.workspace.prepared.is_dir():
            return None
        if self._plain.has_features():
            return 0.0
        batch = np.array(inputs.images[: FEATURES[inputs.device.type]])
        self.pooled(batch)  # the first batch takes longer
        began = time.perf_counter()
        self.pooled(batch)
        return (time.perf_counter() - began) * len(inputs.images) / len(batch)

    def combine(self, by_run: np.ndarray) -> Answers:
        """Return the mean over runs of calibrated probabilities, and sets and decisions by majority of the runs.

        Sets and thresholds are of the probabilities that `assess` calibrated and fitted them on.

        A set by majority holds the truth at least as often as 1 − 2α where each run's does so at 1 − α (Gasparin &
        Ramdas 2024); in practice about as often as one run's.
        """
        adjusted = (by_run if self.prevalence is None else self.prevalence.apply(by_run)).mean(axis=0)
        if not self.calibrated:
            return Answers(by_run.mean(axis=0).argmax(axis=1), adjusted, risk_of("malignant", adjusted), None, {})
        fitted = [fitted for fitted in self.fitted if fitted is not None]
        layers = np.stack([run.calibrator.apply(layer) for run, layer in zip(fitted, by_run, strict=True)])
        sets = np.mean([run.conformal.sets(layer) for run, layer in zip(fitted, layers, strict=True)], axis=0) > 0.5
        risks = risk_of("malignant", layers)  # (R, B)
        calls = {}
        for rule in fitted[0].thresholds:
            limits = [-np.inf if run.thresholds[rule] is None else run.thresholds[rule] for run in fitted]
            calls[rule] = np.mean(risks >= np.array(limits, dtype=float)[:, None], axis=0) > 0.5
        assessed = layers.mean(axis=0)
        if self.prevalence is None:
            adjusted = assessed
        return Answers(assessed.argmax(axis=1), adjusted, risk_of("malignant", adjusted), sets, calls)


def _for_prediction(module: nn.Module, inputs: Inputs) -> nn.Module:
    """Return a backbone's module on the device, with its batch normalisation folded where that changes nothing."""
    assert inputs.backbone is not None
    module = module.to(inputs.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if inputs.settings.precision == "bf16":  # folded weights would be rounded elsewhere than in training
        return module
    size = inputs.backbone.input_size
    example = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(inputs.device)
    return fold_batch_norm(module, example.contiguous(memory_format=torch.channels_last))


def _fitted(workspace: Workspace, name: str) -> dict[Run, Fitted]:
    """Return what was fitted by run; empty where the experiment was not assessed."""
    path: Path = workspace.assessment(name) / NOTES_NAME
    if not path.exists():
        return {}
    notes = read_json(path, f"run `skinlesion assess {name}`", AssessmentNotes)
    remedy = f"run `skinlesion assess {name}`"
    fitted = {}
    for run in notes["runs"]:
        try:
            fitted[Run(run["fold"], run["seed"], run.get("repeat", 0))] = Fitted.read(run)
        except UserError as error:
            raise UserError(f"{path}: fold {run['fold']}, seed {run['seed']}: {error}; {remedy}") from None
    if len({frozenset(run.thresholds) for run in fitted.values()}) > 1:
        raise UserError(f"{path}: runs with thresholds of other rules; {remedy}")
    return fitted


def _of_repeat(path: Path, repeat: int) -> Predictions:
    """Return the validation predictions of one partition."""
    validation = restrict_repeats(read_validation(path)[0], {repeat})
    return restrict_images(validation, validation.image_ids[validation.folds[0] != ABSENT])
