"""Explanations of a trained run: activation maps of prepared images and photographs, measured against lesion masks."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from skinlesion.data.lesion_masks import LesionMasks
from skinlesion.errors import UserError
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.probabilities import probabilities
from skinlesion.experiment.trained_run import TrainedRun
from skinlesion.interpret.cam import Explained, activation_maps
from skinlesion.interpret.overlays import photograph_with_map
from skinlesion.interpret.pointing import energy_inside, pointing_hit
from skinlesion.interpret.sanity import rank_correlation, with_random_weights
from skinlesion.params import Params
from skinlesion.results.workspace import Workspace
from skinlesion.training.batch_sizes import MAPS
from skinlesion.training.features import preprocess
from skinlesion.training.memory import keep_freed_memory
from skinlesion.training.runs import Run
from skinlesion.vocabulary import CLASSES

_RANDOM_SEED = 0


@dataclass(frozen=True)
class MappedImages:
    """Probabilities (n, 7) and activation maps (n, s, s) in 0..1, each about its image's likeliest class."""

    probabilities: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True)
class ExplainedRun:
    """A trained run that shows where it looks."""

    trained: TrainedRun
    explained: Explained
    method: str

    @classmethod
    def open(
        cls, params: Params, workspace: Workspace, name: str, fold: int, *, any_version: bool = False
    ) -> "ExplainedRun":
        """Return an experiment's run of a fold, its first repeat and first seed.

        Args:
            any_version: accept a run that was trained from other parameters, data or code than there are now.

        Raises:
            UserError: the run is missing or of another version, or the experiment sees no image.
        """
        settings = params.experiment(name)
        if settings.fusion == "metadata_only":
            raise UserError(f"{name}: uses no image, so it has no activation map")
        inputs = Inputs(workspace, settings, params.split)
        first = Run(fold, settings.seeds[0], settings.repeats[0])
        run = TrainedRun.open(inputs, workspace.model(name), first, any_version=any_version)
        assert inputs.backbone is not None
        explained = Explained(run.model, inputs.backbone, inputs.kind, settings.spatial_grid).to(inputs.device)
        keep_freed_memory()
        return cls(run, explained, params.explain.method)

    @cached_property
    def tested_rows(self) -> np.ndarray:
        """Return the rows of the prepared table that the run was tested on."""
        run = self.trained.run
        return self.trained.inputs.rows(run.fold, "test", run.repeat)

    def map_photographs(self, images: np.ndarray, records: pd.DataFrame) -> MappedImages:
        """Return maps of one batch of images (B, S, S, 3) uint8 with B rows of age, sex and localization."""
        batch = torch.from_numpy(np.require(images, requirements=["C", "W"])).to(self.trained.inputs.device)
        return self._map(batch, records, self.explained)

    def picture(self, photograph: np.ndarray, record: pd.DataFrame) -> np.ndarray:
        """Return a photograph (S, S, 3) uint8, with one row of age, sex and localization, and its map: (S, 2S, 3)."""
        return photograph_with_map(photograph, self.map_photographs(photograph[None], record).maps[0])

    def map_rows(self, rows: np.ndarray, explained: Explained | None = None) -> MappedImages:
        """Return maps of prepared images; `explained` is another model than the run's own."""
        store, table = self.trained.inputs.store, self.trained.shown_table
        batches = [
            self._map(store.take(torch.from_numpy(part)), table.iloc[part], explained or self.explained)
            for part in (rows[start : start + MAPS] for start in range(0, len(rows), MAPS))
        ]
        return MappedImages(
            np.concatenate([batch.probabilities for batch in batches]),
            np.concatenate([batch.maps for batch in batches]),
        )

    def _map(self, images: torch.Tensor, records: pd.DataFrame, explained: Explained) -> MappedImages:
        backbone = self.trained.inputs.backbone
        assert backbone is not None
        pixels = preprocess(backbone, images, None)
        metadata = self.trained.encode(records)
        places = torch.arange(len(pixels))
        answers = probabilities([explained], [[(places, pixels)]], [[metadata]])[0, 0]
        return MappedImages(answers, activation_maps(explained, pixels, metadata, answers.argmax(axis=1), self.method))

    def sanity_check(self, most: int) -> dict[str, float]:
        """Return the mean rank correlation of maps with those of random weights: near 0 for a sound method.

        Args:
            most: images, drawn from those the run was tested on.
        """
        rng = np.random.default_rng(_RANDOM_SEED)
        rows = np.sort(rng.permutation(self.tested_rows)[:most])
        maps = self.map_rows(rows).maps
        correlations = {}
        for name, randomised in with_random_weights(self.explained, _RANDOM_SEED):
            values = rank_correlation(maps, self.map_rows(rows, randomised).maps)
            if np.isfinite(values).any():
                correlations[f"rank_correlation_with_{name}"] = float(np.nanmean(values))
        return correlations


@dataclass(frozen=True)
class MappedFold:
    """The maps of all images that a run was tested on."""

    table: pd.DataFrame  # one row per image: answer, probability, and figures against its mask
    rows: np.ndarray  # (n,) of the prepared table
    maps: np.ndarray = field(repr=False)  # (n, s, s) float16: a whole fold is kept


def map_fold(run: ExplainedRun, masks: LesionMasks) -> MappedFold:
    """Map all images that a run was tested on, and measure the maps where there are masks."""
    tables, maps = [], []
    rows = run.tested_rows
    for start in range(0, len(rows), MAPS):
        part = rows[start : start + MAPS]
        mapped = run.map_rows(part)
        tables.append(_measure(run.trained.inputs, part, mapped, masks))
        maps.append(mapped.maps.astype(np.float16))
    return MappedFold(pd.concat(tables, ignore_index=True), rows, np.concatenate(maps))


def _measure(inputs: Inputs, rows: np.ndarray, mapped: MappedImages, masks: LesionMasks) -> pd.DataFrame:
    """Return one row per image: what the model answers, and how well the map lies on the lesion."""
    answers = mapped.probabilities.argmax(axis=1)
    columns = inputs.table.iloc[rows][["image_id", "lesion_id", "dx"]].reset_index(drop=True)
    table = columns.assign(
        answer=np.array(CLASSES)[answers],
        probability=mapped.probabilities.max(axis=1),
        right=answers == inputs.labels[rows],
        empty=mapped.maps.max(axis=(1, 2)) == 0,
        mask_area=np.nan,
        energy_inside=np.nan,
        pointing_hit=np.nan,
    )
    masked = [place for place, image_id in enumerate(table["image_id"]) if image_id in masks]
    if masked:
        maps = mapped.maps[masked]
        lesions = np.stack([masks.read(str(table["image_id"].iloc[place]), maps.shape[-1]) for place in masked])
        table.loc[masked, "mask_area"] = lesions.mean(axis=(1, 2))
        table.loc[masked, "energy_inside"] = energy_inside(maps, lesions)
        table.loc[masked, "pointing_hit"] = pointing_hit(maps, lesions)
    return table


def example_places(table: pd.DataFrame, count: int) -> dict[str, np.ndarray]:
    """Return places of up to `count` images of each kind, spread over the classes: right, wrong, confidently wrong."""
    order = table.iloc[np.random.default_rng(_RANDOM_SEED).permutation(len(table))]
    right, wrong = order[order["right"]], order[~order["right"]]
    return {
        "right": _one_per_class_in_turn(right, count),
        "wrong": _one_per_class_in_turn(wrong, count),
        "confidently_wrong": wrong.sort_values("probability", ascending=False).index[:count].to_numpy(),
    }


def _one_per_class_in_turn(table: pd.DataFrame, count: int) -> np.ndarray:
    turns = table.groupby("dx").cumcount()
    return table.assign(turn=turns).sort_values(["turn", "dx"]).index[:count].to_numpy()
