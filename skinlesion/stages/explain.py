"""explain: where trained models look, whether that is the lesion, and whether the maps are the models' own."""

import copy
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from skinlesion.data.decode import to_square
from skinlesion.data.sources.images import ImageIndex
from skinlesion.errors import UserError, name_some
from skinlesion.evaluation.sums import SumStatistic, ratio
from skinlesion.files import replacing, write_csv, write_json
from skinlesion.interpret.cam import Explained, activation_maps
from skinlesion.interpret.pointing import energy_inside, pointing_hit, rank_correlation
from skinlesion.params import EvaluateParams, ExplainParams, Params
from skinlesion.stages.assessment.material import estimate_sums
from skinlesion.stages.best import best_by_validation
from skinlesion.stages.contracts import EXPLANATION_NAME
from skinlesion.stages.inputs import Inputs
from skinlesion.stages.trained import checked_run, restore
from skinlesion.stages.workspace import Workspace
from skinlesion.stats.lesion_bootstrap import LesionBootstrap
from skinlesion.training import runs
from skinlesion.training.features import preprocess
from skinlesion.training.memory import keep_freed_memory
from skinlesion.vocabulary import CLASSES

_BATCH = 16
_MASK_ENDING = "_segmentation"
_ALPHA = 0.45  # of the map laid over a photograph
_RANDOM_SEED = 0


def explain_best(params: Params, workspace: Workspace) -> dict[str, dict[str, float]]:
    """Map the best image-only and multimodal experiments' test fold; write reports/explanations/.

    Returns:
        The content of explanation.json: figures by experiment.

    Raises:
        UserError: a run is missing or out of date.
    """
    out = workspace.reports / "explanations"
    maps = out / "maps"
    shutil.rmtree(maps, ignore_errors=True)
    maps.mkdir(parents=True)
    figures = {}
    for name in best_by_validation(params, workspace).values():
        one = Mapped.open(params, workspace, name)
        figures[name] = one.measure(maps / name)
    write_json(out / EXPLANATION_NAME, figures)
    return figures


def explain_images(params: Params, workspace: Workspace, name: str, image_ids: Sequence[str]) -> list[Path]:
    """Write an overlay of each prepared image, by the model that was tested on it, and return their paths.

    Raises:
        UserError: an id that is not prepared, or that no fold of the experiment tests.
    """
    written = []
    for fold in params.experiment(name).folds:
        one = Mapped.open(params, workspace, name, fold)
        here = [image_id for image_id in image_ids if image_id in one.rows_by_id]
        rows = np.array([one.rows_by_id[image_id] for image_id in here], dtype=int)
        if len(rows):
            probabilities, maps = one.maps(rows)
            written += one.write_overlays(workspace.explanation(name), rows, probabilities, maps)
    found = {path.stem for path in written}
    missing = [image_id for image_id in image_ids if image_id not in found]
    if missing:
        raise UserError(f"--image {name_some(missing)}: not among the images that {name} was tested on")
    return written


def photograph_mapper(
    params: Params, workspace: Workspace, name: str
) -> Callable[[np.ndarray, pd.DataFrame], np.ndarray]:
    """Return a function of a photograph (S, S, 3) uint8 and one row of age, sex and localization: its map (s, s).

    The map is about the likeliest class of the experiment's first run.

    Raises:
        UserError: the experiment was not trained, or sees no image.
    """
    settings = params.experiment(name)
    if settings.fusion == "metadata_only":
        raise UserError(f"{name}: sees no image, so there is nothing to map")
    inputs = Inputs(workspace, settings, params.split)
    folder = runs.run_folder(workspace.model(name), settings.folds[0], settings.seeds[0])
    model, encoder = restore(inputs, folder, runs.read_run(folder))
    assert inputs.backbone is not None
    explained = Explained(model, inputs.backbone, inputs.kind, settings.spatial_grid).to(inputs.device)

    def map_photograph(pixels: np.ndarray, metadata: pd.DataFrame) -> np.ndarray:
        assert inputs.backbone is not None
        batch = torch.from_numpy(np.require(pixels[None], requirements=["C", "W"])).to(inputs.device)
        images = preprocess(inputs.backbone, batch, None)
        record = None if encoder is None else torch.from_numpy(encoder.encode(metadata)).to(inputs.device)
        explained.metadata = record
        with torch.no_grad():
            about = explained.eval()(images).argmax(dim=1).cpu().numpy()
        return np.asarray(activation_maps(explained, images, record, about, params.explain.method)[0])

    return map_photograph


def overlay_writer(
    params: Params, workspace: Workspace, name: str, out: Path
) -> Callable[[Path, np.ndarray, pd.DataFrame], None]:
    """Return a function that writes a photograph with its map to `out`, under the file's name.

    Raises:
        UserError: as `photograph_mapper`.
    """
    look = photograph_mapper(params, workspace, name)

    def write(path: Path, pixels: np.ndarray, metadata: pd.DataFrame) -> None:
        with replacing(out / f"{path.stem}.png") as temporary:
            Image.fromarray(side_by_side(pixels, look(pixels, metadata))).save(temporary, format="PNG")

    return write


@dataclass(frozen=True)
class Mapped:
    """One trained run and the images it was tested on."""

    inputs: Inputs
    settings: ExplainParams
    evaluate: EvaluateParams
    explained: Explained
    encoder: Any
    rows: np.ndarray  # of the prepared table, the test part
    masks: ImageIndex
    square: str

    @classmethod
    def open(cls, params: Params, workspace: Workspace, name: str, fold: int | None = None) -> "Mapped":
        """Return the run of `fold` (by default explain.fold, or the experiment's first) and its first seed.

        Raises:
            UserError: the run is missing or out of date, or the experiment sees no image.
        """
        settings = params.experiment(name)
        if settings.fusion == "metadata_only":
            raise UserError(f"{name}: sees no image, so there is nothing to map")
        wanted = fold if fold is not None else params.explain.fold
        fold = wanted if wanted in settings.folds else settings.folds[0]
        inputs = Inputs(workspace, settings, params.split)
        folder = runs.run_folder(workspace.model(name), fold, settings.seeds[0])
        model, encoder = restore(inputs, folder, checked_run(inputs, folder, fold, settings.seeds[0]))
        assert inputs.backbone is not None
        explained = Explained(model, inputs.backbone, inputs.kind, settings.spatial_grid).to(inputs.device)
        keep_freed_memory()
        archive = workspace.root / params.data.path
        masks = ImageIndex(archive, _mask_id, lambda path: "segmentation" in path.name.lower())
        return cls(
            inputs, params.explain, params.evaluate, explained, encoder, inputs.rows(fold, "test"), masks,
            params.prepare.square,
        )  # fmt: skip

    @cached_property
    def rows_by_id(self) -> dict[str, int]:
        """Return the row of each image this run was tested on."""
        return {image_id: int(row) for image_id, row in zip(self._ids(self.rows), self.rows, strict=True)}

    def _ids(self, rows: np.ndarray) -> list[str]:
        return [str(one) for one in self.inputs.table["image_id"].iloc[rows]]

    def maps(self, rows: np.ndarray, explained: Explained | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities (n, 7) and maps (n, s, s) about each image's likeliest class."""
        explained = explained or self.explained
        parts = [self._batch(rows[start : start + _BATCH], explained) for start in range(0, len(rows), _BATCH)]
        return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])

    def _batch(
        self, rows: np.ndarray, explained: Explained, classes: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        inputs = self.inputs
        assert inputs.backbone is not None
        images = preprocess(inputs.backbone, inputs.store.take(torch.from_numpy(rows)), None)
        metadata = None
        if self.encoder is not None:
            metadata = torch.from_numpy(self.encoder.encode(inputs.table.iloc[rows])).to(inputs.device)
        explained.metadata = metadata
        explained.eval()
        with torch.no_grad():
            probabilities = explained(images).double().softmax(dim=1).cpu().numpy()
        about = probabilities.argmax(axis=1) if classes is None else classes
        return probabilities, activation_maps(explained, images, metadata, about, self.settings.method)

    def measure(self, out: Path) -> dict[str, float]:
        """Map the whole test part; write pointing.csv, summary.csv and example overlays to `out`; return figures."""
        probabilities, tables = np.zeros((0, 7)), []
        examples: list[np.ndarray] = []
        for start in range(0, len(self.rows), _BATCH):
            rows = self.rows[start : start + _BATCH]
            found, maps = self._batch(rows, self.explained)
            probabilities = np.concatenate([probabilities, found])
            tables.append(self._pointing(rows, found, maps))
            examples.append(maps.astype(np.float16))
        table = pd.concat(tables, ignore_index=True)
        write_csv(out / "pointing.csv", table, float_format="%.6g")
        summary, figures = self._summary(table)
        write_csv(out / "summary.csv", summary, float_format="%.6g")
        figures |= self._sanity()
        every = np.concatenate(examples).astype(np.float32)
        for kind, places in self._examples(table).items():
            self.write_overlays(out / kind, self.rows[places], probabilities[places], every[places])
        return figures

    def _pointing(self, rows: np.ndarray, probabilities: np.ndarray, maps: np.ndarray) -> pd.DataFrame:
        ids = self._ids(rows)
        answers = probabilities.argmax(axis=1)
        table = pd.DataFrame({
            "image_id": ids,
            "lesion_id": self.inputs.table["lesion_id"].iloc[rows].to_numpy(),
            "dx": self.inputs.table["dx"].iloc[rows].to_numpy(),
            "answer": np.array(CLASSES)[answers],
            "probability": probabilities.max(axis=1),
            "right": answers == self.inputs.labels[rows],
            "empty": maps.max(axis=(1, 2)) == 0,
        })  # fmt: skip
        masked = [place for place, image_id in enumerate(ids) if image_id in self.masks]
        for name in ("mask_area", "energy_inside", "pointing_hit"):
            table[name] = np.nan
        if masked:
            masks = np.stack([self._mask(ids[place], maps.shape[-1]) for place in masked])
            table.loc[masked, "mask_area"] = masks.mean(axis=(1, 2))
            table.loc[masked, "energy_inside"] = energy_inside(maps[masked], masks)
            table.loc[masked, "pointing_hit"] = pointing_hit(maps[masked], masks)
        return table

    def _mask(self, image_id: str, side: int) -> np.ndarray:
        """Return a lesion's mask (side, side) bool, cut out of its frame as the photograph was."""
        frame = cv2.imdecode(np.frombuffer(self.masks.read(image_id), np.uint8), cv2.IMREAD_GRAYSCALE)
        if frame is None:
            raise UserError(f"mask of {image_id}: not a readable image; fetch the masks again")
        square = to_square(np.repeat(frame[..., None], 3, axis=2), side, self.square)
        return np.asarray(square[..., 0] > 127)

    def _summary(self, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
        """Return figures by class and by right and wrong, and those of all images, with lesion intervals."""
        known = table[table["energy_inside"].notna()].reset_index(drop=True)
        columns = ["part", "group", "images", "metric", "value", "low", "high"]
        if known.empty:
            return pd.DataFrame(columns=columns), {}
        cells = [("all", "all", np.ones(len(known), dtype=bool))]
        cells += [("dx", dx, (known["dx"] == dx).to_numpy()) for dx in CLASSES if (known["dx"] == dx).any()]
        cells += [("answer", word, (known["right"] == right).to_numpy()) for word, right in _ANSWERS.items()]
        figures: dict[str, list[SumStatistic]] = {}
        for part, group, rows in cells:
            for metric in ("energy_inside", "pointing_hit", "mask_area"):
                values = known[metric].to_numpy(dtype=float)
                figures[f"{part}\n{group}\n{metric}"] = [ratio(values * rows, rows)]
        resamples = LesionBootstrap(
            known["lesion_id"].to_numpy(dtype=str), replicates=self.evaluate.replicates, seed=self.evaluate.seed
        )
        made: list[dict[str, Any]] = []
        headline: dict[str, float] = {}
        counts = {(part, group): int(rows.sum()) for part, group, rows in cells}
        for key, one in estimate_sums(resamples, figures).items():
            part, group, metric = key.split("\n")
            low, high = one.interval(self.evaluate.confidence)
            cell = (part, group, counts[part, group], metric, one.value, low, high)
            made.append(dict(zip(columns, cell, strict=True)))
            if part == "all":
                headline |= {metric: one.value, f"{metric}_low": low, f"{metric}_high": high}
        return pd.DataFrame(made), headline

    def _sanity(self) -> dict[str, float]:
        """Return the mean rank correlation of maps with those of randomised weights: near 0 is how it should be."""
        rng = np.random.default_rng(_RANDOM_SEED)
        rows = np.sort(rng.permutation(self.rows)[: self.settings.sanity_images])
        _, maps = self.maps(rows)
        found = {}
        for name, explained in self._randomised():
            _, others = self.maps(rows, explained)
            values = rank_correlation(maps, others)
            if np.isfinite(values).any():
                found[f"rank_correlation_with_{name}"] = float(np.nanmean(values))
        return found

    def _randomised(self) -> Iterator[tuple[str, Explained]]:
        """Yield copies of the model with fresh weights in the head, and in the head and the backbone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_RANDOM_SEED)
            one = copy.deepcopy(self.explained)
            one.head.apply(_reset)
            yield "random_head", one
            one = copy.deepcopy(one)
            one.tapped.model.apply(_reset)
            yield "random_weights", one

    def _examples(self, table: pd.DataFrame) -> Mapping[str, np.ndarray]:
        """Return places of images of each kind, spread over the classes: right, wrong, confidently wrong."""
        rng = np.random.default_rng(_RANDOM_SEED)
        order = table.iloc[rng.permutation(len(table))]
        right, wrong = order[order["right"]], order[~order["right"]]
        count = self.settings.examples
        return {
            "right": _spread(right, count),
            "wrong": _spread(wrong, count),
            "confidently_wrong": wrong.sort_values("probability", ascending=False).index[:count].to_numpy(),
        }

    def write_overlays(self, out: Path, rows: np.ndarray, probabilities: np.ndarray, maps: np.ndarray) -> list[Path]:
        """Write a photograph with its map beside it for each row, named by its id."""
        out.mkdir(parents=True, exist_ok=True)
        written = []
        for image_id, row, map_ in zip(self._ids(rows), rows, maps, strict=True):
            path = out / f"{image_id}.png"
            with replacing(path) as temporary:
                Image.fromarray(side_by_side(self.inputs.images[row], map_)).save(temporary, format="PNG")
            written.append(path)
        return written


_ANSWERS = {"right": True, "wrong": False}


def side_by_side(photograph: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """Return a photograph (S, S, 3) uint8 and, to its right, the same under its map (s, s) in 0..1."""
    side = photograph.shape[0]
    large = cv2.resize(np.asarray(map_, dtype=np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    colours = cv2.cvtColor(
        cv2.applyColorMap(np.asarray(255 * np.clip(large, 0, 1), dtype=np.uint8), cv2.COLORMAP_VIRIDIS),
        cv2.COLOR_BGR2RGB,
    )
    mixed = (1 - _ALPHA) * photograph + _ALPHA * colours
    return np.hstack([photograph, mixed.round().astype(np.uint8)])


def _spread(table: pd.DataFrame, count: int) -> np.ndarray:
    """Return places of up to `count` rows, one of each diagnosis in turn."""
    turns = table.groupby("dx").cumcount()
    return table.assign(turn=turns).sort_values(["turn", "dx"]).index[:count].to_numpy()


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()


def _mask_id(name: str) -> str | None:
    stem = Path(name).stem
    return stem.removesuffix(_MASK_ENDING) if stem.endswith(_MASK_ENDING) else None
