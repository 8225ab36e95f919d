"""explain: activation maps of trained models, their overlap with lesion masks, and a randomisation check."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from skinlesion.analysis.pointing_summary import summarise_pointing
from skinlesion.atomic import replacing, replacing_folder
from skinlesion.data.lesion_masks import LesionMasks
from skinlesion.errors import UserError, name_some
from skinlesion.experiment.explanation import ExplainedRun, example_places, map_fold
from skinlesion.experiment.inputs import Inputs
from skinlesion.files import write_csv, write_json
from skinlesion.interpret.overlays import photograph_with_map, save_picture
from skinlesion.params import Params
from skinlesion.results.names import EXPLANATION_NAME, MAP_SUMMARY_NAME, MAPS_FOLDER, POINTING_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace


def explain_best(params: Params, workspace: Workspace) -> dict[str, dict[str, float]]:
    """Map the test fold of the best image-only and multimodal experiments; write reports/explanations/.

    Returns:
        The content of explanation.json: figures by experiment.

    Raises:
        UserError: a run is missing or out of date.
    """
    out = workspace.explanations
    archive = workspace.root / params.data.path
    best = Results(params, workspace).best.values()
    with replacing_folder(out / MAPS_FOLDER) as maps:  # the old ones stay until all new ones are there
        figures = {
            name: _explain_fold(
                params, workspace, name, LesionMasks(archive, params.experiment(name).square), maps / name
            )
            for name in best
        }
    write_json(out / EXPLANATION_NAME, figures)
    return figures


def _explain_fold(params: Params, workspace: Workspace, name: str, masks: LesionMasks, out: Path) -> dict[str, float]:
    """Write pointing.csv, summary.csv and example overlays of one experiment to `out`; return its figures."""
    run = ExplainedRun.open(params, workspace, name, params.explained_fold(name))
    mapped = map_fold(run, masks)
    write_csv(out / POINTING_NAME, mapped.table, float_format="%.6g")
    settings = params.evaluate
    summary, figures = summarise_pointing(
        mapped.table, replicates=settings.replicates, seed=settings.seed, confidence=settings.confidence
    )
    write_csv(out / MAP_SUMMARY_NAME, summary, float_format="%.6g")
    for kind, places in example_places(mapped.table, params.explain.examples).items():
        (out / kind).mkdir(parents=True, exist_ok=True)
        for place in places:
            image = run.trained.inputs.images[mapped.rows[place]]
            path = out / kind / f"{mapped.table['image_id'].iloc[place]}.png"
            _write(path, photograph_with_map(image, mapped.maps[place]))
    return figures | run.sanity_check(params.explain.sanity_images)


def explain_images(params: Params, workspace: Workspace, name: str, image_ids: Sequence[str]) -> list[Path]:
    """Write an overlay of each prepared image, by the model that was tested on it, and return their paths.

    Raises:
        UserError: an id that is not prepared, or that no fold of the experiment tests.
    """
    settings = params.experiment(name)
    inputs = Inputs(workspace, settings, params.split)
    ids = inputs.table["image_id"].to_numpy()
    folds = {}
    for fold in settings.folds:
        tested = inputs.rows(fold, "test", settings.repeats[0])
        folds[fold] = tested[np.isin(ids[tested], image_ids)]
    missing = set(image_ids) - {image_id for rows in folds.values() for image_id in ids[rows]}
    if missing:
        raise UserError(f"--image {name_some(sorted(missing))}: not among the images that {name} was tested on")
    written = {}
    for fold, rows in folds.items():
        if len(rows):
            activations = ExplainedRun.open(params, workspace, name, fold).map_rows(rows).maps
            for row, activation in zip(rows, activations, strict=True):
                written[ids[row]] = workspace.explanation(name) / f"{ids[row]}.png"
                _write(written[ids[row]], photograph_with_map(inputs.images[row], activation))
    return [written[image_id] for image_id in image_ids]


def overlay_writer(
    params: Params, workspace: Workspace, name: str, pictures: Mapping[Path, Path]
) -> Callable[[Path, np.ndarray, pd.DataFrame], None]:
    """Return a function that writes a photograph with its map to where `pictures` has it, with the mark of a picture.

    The map is about the likeliest class of the experiment's first run.

    Raises:
        UserError: the experiment was not trained, or sees no image.
    """
    run = ExplainedRun.open(params, workspace, name, params.experiment(name).folds[0], any_version=True)

    def write(path: Path, frame: np.ndarray, record: pd.DataFrame) -> None:
        picture = run.picture(run.trained.inputs.squares([frame])[0], record)
        with replacing(pictures[path]) as temporary:
            save_picture(temporary, picture)

    return write


def _write(path: Path, picture: np.ndarray) -> None:
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
