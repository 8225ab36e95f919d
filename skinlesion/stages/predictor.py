"""A trained experiment ready for images of its own: every run's answer, calibrated, and what it means."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from skinlesion.data.augment import d4_draw
from skinlesion.errors import UserError
from skinlesion.evaluation.conformal import ConformalSets
from skinlesion.evaluation.decisions import risk_of
from skinlesion.evaluation.recalibration import Calibrator, restore_calibrator
from skinlesion.files import read_json
from skinlesion.interpret.neighbours import Neighbours
from skinlesion.models.metadata_encoders import MetadataEncoder
from skinlesion.params import Params, TrainParams
from skinlesion.stages.contracts import NOTES_NAME
from skinlesion.stages.fused import fused
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.trained import restore
from skinlesion.stages.workspace import Workspace
from skinlesion.training import runs
from skinlesion.training.features import PLAIN, FeatureRequest, View, forward, preprocess

_IMAGE_ONLY = {"fusion": "none", "regime": "frozen"}
_D4 = 8  # flips and quarter turns of test-time augmentation


@dataclass(frozen=True)
class Fitted:
    """What `assess` fitted on a run's validation part."""

    calibrator: Calibrator
    conformal: ConformalSets
    thresholds: dict[str, float | None]  # of the risk of malignancy, by rule

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Fitted":
        return cls(
            restore_calibrator(content["calibrator"]),
            ConformalSets.restore(content["conformal"]),
            content["thresholds"]["malignant"],
        )


@dataclass(frozen=True)
class Run:
    """One trained model."""

    fold: int
    seed: int
    model: Any
    encoder: MetadataEncoder | None
    fitted: Fitted | None


@dataclass(frozen=True)
class Answers:
    """What an experiment says of B images; the last two are empty where it was not assessed."""

    probabilities: np.ndarray  # (B, 7), mean over runs, calibrated where that was fitted
    malignant: np.ndarray  # (B,) risk
    sets: np.ndarray | None  # (B, 7) bool: diagnoses that most runs leave open
    calls: dict[str, np.ndarray]  # rule → (B,) bool: malignant by most runs' thresholds


class Predictor:
    """The runs of one experiment: of one fold, or of all of them as an ensemble."""

    def __init__(self, settings: TrainParams, inputs: Inputs, members: Sequence[Run]) -> None:
        self.settings, self.inputs, self.members = settings, inputs, members
        self._frozen = inputs.backbone  # with its first weights, as prediction runs it
        if inputs.backbone is not None:
            self._frozen = replace(inputs.backbone, module=_for_prediction(inputs.backbone.module, inputs))

    @classmethod
    def open(cls, params: Params, workspace: Workspace, name: str, fold: int | None = None) -> "Predictor":
        """Return the predictor of an experiment that was trained in `models/`.

        Raises:
            UserError: no such experiment or fold, or a run that was not trained.
        """
        settings = params.experiment(name)
        if fold is not None and fold not in settings.folds:
            raise UserError(f"--fold {fold}: {name} has folds {', '.join(map(str, settings.folds))}")
        inputs = Inputs(workspace, settings, params.split)
        fitted = _fitted(workspace, name)
        members = []
        for one in settings.folds if fold is None else [fold]:
            for seed in settings.seeds:
                folder = runs.run_folder(workspace.model(name), one, seed)
                model, encoder = restore(inputs, folder, runs.read_run(folder))
                if settings.fine_tunes:
                    model.backbone = _for_prediction(model.backbone, inputs)
                members.append(Run(one, seed, model.eval(), encoder, fitted.get((one, seed))))
        return cls(settings, inputs, members)

    @property
    def calibrated(self) -> bool:
        """Whether every run has a calibrator, sets and thresholds."""
        return all(run.fitted is not None for run in self.members)

    @property
    def views(self) -> int:
        """How many views of an image the backbone sees."""
        return _D4 if self.settings.tta == "d4" and self.inputs.backbone is not None else 1

    def answer(self, images: np.ndarray, metadata: pd.DataFrame) -> Answers:
        """Return what the runs say of images (B, S, S, 3) uint8, with the age, sex and localization in `metadata`."""
        return self.combine(self.by_run(images, metadata))

    @torch.inference_mode()
    def by_run(self, images: np.ndarray, metadata: pd.DataFrame) -> np.ndarray:
        """Return uncalibrated probabilities (R, B, 7), averaged over the views of test-time augmentation."""
        device = self.inputs.device
        batch = torch.from_numpy(np.require(images, requirements=["C", "W"])).to(device)
        records = [
            None if run.encoder is None else torch.from_numpy(run.encoder.encode(metadata)).to(device)
            for run in self.members
        ]
        total = np.zeros((len(self.members), len(images), 7))
        for element in range(self.views):
            shared = self._features(batch, element)
            for place, (run, record) in enumerate(zip(self.members, records, strict=True)):
                total[place] += self._run(run, shared, record)
        return total / self.views

    def _features(self, batch: torch.Tensor, element: int) -> torch.Tensor | None:
        """Return what every run looks at: frozen features, or pixels for runs with backbones of their own."""
        backbone = self._frozen
        if backbone is None:
            return None
        if self.settings.fine_tunes:
            return preprocess(backbone, batch, d4_draw(len(batch), element) if element else None)
        view = View("d4", element) if element else PLAIN
        request = FeatureRequest(
            self.settings.precision, self.settings.device, self.inputs.kind, self.settings.spatial_grid, view
        )
        return forward(backbone, batch, request, view.draw(len(batch), 0)).float()

    def _run(self, run: Run, image: torch.Tensor | None, record: torch.Tensor | None) -> np.ndarray:
        bf16 = self.settings.fine_tunes and self.settings.precision == "bf16"
        with torch.autocast(self.inputs.device.type, torch.bfloat16, enabled=bf16):
            logits = run.model(image, record).float()
        found: np.ndarray = logits.double().softmax(dim=1).cpu().numpy()
        return found

    @torch.inference_mode()
    def pooled(self, images: np.ndarray) -> np.ndarray:
        """Return the frozen backbone's pooled features (B, F) of images (B, S, S, 3) uint8, for `Neighbours`."""
        assert self._frozen is not None
        batch = torch.from_numpy(np.require(images, requirements=["C", "W"])).to(self.inputs.device)
        request = FeatureRequest(self.settings.precision, self.settings.device)
        return forward(self._frozen, batch, request, None).cpu().numpy()

    def neighbours(self) -> Neighbours | None:
        """Return the prepared images by the same features; None without an image model or prepared data.

        The first call computes the features of all prepared images, unless training left them in the cache.
        """
        inputs = self.inputs
        if inputs.backbone is None or not inputs.workspace.prepared.is_dir():
            return None
        plain = Inputs(inputs.workspace, inputs.settings.model_copy(update=_IMAGE_ONLY), inputs.split_settings)
        plain.__dict__["backbone"] = inputs.backbone
        return Neighbours(plain.features().array, plain.lesions)

    def combine(self, by_run: np.ndarray) -> Answers:
        """Return the mean over runs of calibrated probabilities, and what most runs' sets and thresholds say.

        A set by majority holds the truth at least as often as 1 − 2α where each run's does so at 1 − α (Gasparin &
        Ramdas 2024); in practice about as often as one run's.
        """
        if not self.calibrated:
            mean = by_run.mean(axis=0)
            return Answers(mean, risk_of("malignant", mean), None, {})
        fitted = [run.fitted for run in self.members if run.fitted is not None]
        layers = np.stack([one.calibrator.apply(layer) for one, layer in zip(fitted, by_run, strict=True)])
        sets = np.mean([one.conformal.sets(layer) for one, layer in zip(fitted, layers, strict=True)], axis=0) > 0.5
        risks = risk_of("malignant", layers)  # (R, B)
        calls = {}
        for rule in fitted[0].thresholds:
            limits = [-np.inf if one.thresholds[rule] is None else one.thresholds[rule] for one in fitted]
            calls[rule] = np.mean(risks >= np.array(limits, dtype=float)[:, None], axis=0) > 0.5
        return Answers(layers.mean(axis=0), risks.mean(axis=0), sets, calls)


def _for_prediction(module: nn.Module, inputs: Inputs) -> nn.Module:
    """Return a backbone's module on the device, with its batch normalisation folded where that changes nothing."""
    assert inputs.backbone is not None
    module = module.to(inputs.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if inputs.settings.precision == "bf16":  # folded weights would be rounded elsewhere than in training
        return module
    size = inputs.backbone.input_size
    example = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(inputs.device)
    return fused(module, example.contiguous(memory_format=torch.channels_last))


def _fitted(workspace: Workspace, name: str) -> dict[tuple[int, int], Fitted]:
    """Return what was fitted by (fold, seed); empty where the experiment was not assessed."""
    path: Path = workspace.assessment(name) / NOTES_NAME
    if not path.exists():
        return {}
    notes = read_json(path, f"run `skinlesion assess {name}`")
    if "runs" not in notes:
        raise UserError(f"{path}: of an older version; run `skinlesion assess {name}`")
    return {(one["fold"], one["seed"]): Fitted.read(one) for one in notes["runs"]}
