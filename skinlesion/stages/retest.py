"""retest: a reanalysis of published predictions on HAM10000; one page and its figures as JSON."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from skinlesion.analysis.plan import Plan, plan_from
from skinlesion.analysis.retest import Retest, certify, matching_model, retest
from skinlesion.data.ham10000_places import LINK_NAME, METADATA_NAMES, folder_of_environment
from skinlesion.data.known_pairs import joined_lesions, present_pairs, read_known_pairs
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.errors import UserError, choices, name_some, printable
from skinlesion.evaluation.predictions import Predictions, read_predictions, restrict_images
from skinlesion.evaluation.published_figures import read_figures
from skinlesion.evaluation.published_predictions import PublishedPredictions, read_ids, read_published
from skinlesion.evaluation.registry import SCHEMA
from skinlesion.files import write_json, write_text
from skinlesion.outputs import check_outputs, first_bytes
from skinlesion.params import EvaluateParams, StatsParams
from skinlesion.reading import read_csv
from skinlesion.report.retest_page import PAGE_MARK, retest_pages, retest_summary
from skinlesion.results.names import PAIR_COLUMNS, PAIRS_NAME
from skinlesion.results.retests import RETEST_STEM
from skinlesion.results.workspace import Workspace

#: What is written, by ending.
OUTPUTS = {ending: f"{RETEST_STEM}.{ending}" for ending in ("html", "md", "svg", "json")}

#: Folders of a workspace that may hold HAM10000's metadata.
_ARCHIVES = (Path("data/raw") / LINK_NAME, Path("data/raw"))
_PREPARED = Workspace(Path()).prepared / METADATA_NAME
_AUDITED = Workspace(Path()).audit / PAIRS_NAME
_TABLES = (".csv", ".csv.gz", ".csv.bz2")


def check_out(out: Path) -> None:
    """Check that OUTPUTS can be written into a folder, before anything is computed.

    Raises:
        UserError: it holds other files of these names, or cannot be written to.
    """
    check_outputs([out / name for name in OUTPUTS.values()], "--out", _is_own)


def write_retest(out: Path, result: Retest, metric: str) -> None:
    """Write OUTPUTS of what `retest_files` returned."""
    out.mkdir(parents=True, exist_ok=True)
    for ending, page in retest_pages(result, _plan(metric), EvaluateParams().confidence).items():
        write_text(out / OUTPUTS[ending], page)
    write_json(out / OUTPUTS["json"], retest_summary(result))


def retest_files(
    files: Sequence[Path],
    metric: str,
    *,
    archive: Path | None = None,
    classes: Path | None = None,
    training: Path | None = None,
    audited: Path | None = None,
    published: Path | None = None,
    ours: Sequence[Path] = (),
    logits: bool = False,
) -> Retest:
    """Reanalyse prediction files; nothing is written.

    Args:
        files: prediction files of one model each, or one folder of them; in a folder a class table and published
            figures are found by their columns.
        metric: the one that pairs are judged by.
        archive: HAM10000's metadata, prepared or as published; looked for where `prepare` has them by default.
        classes: a table of class numbers and names.
        training: the images that were trained on.
        audited: the pairs that `audit` listed; looked for where it writes them by default.
        published: published figures.
        ours: prediction files of this project for the same images, shown beside.

    Raises:
        UserError: nothing can be read, or images are unknown or differ.
    """
    if metric not in SCHEMA.metrics():
        raise UserError(f"--metric {name_some([metric])}: {choices(SCHEMA.metrics(), metric)}")
    files, classes, published = _sorted_files(files, classes, published)
    table = read_archive(archive)
    read = {_name(path): read_published(path, table, classes, logits=logits) for path in files}
    if len(read) < len(files):
        raise UserError("retest: two files have one name; rename one, names are those of models")
    models: dict[str, Predictions] = {name: item.predictions for name, item in read.items()}
    first = next(iter(models.values()))
    for path in ours:
        models[f"ours: {_name(path)}"] = _ours(path, table, first)
    pairs = present_pairs(read_known_pairs(), table["image_id"])
    certificate = certify(first, table, pairs, None if training is None else read_ids(training), _audited(audited))
    certificate |= {"disagreeing": _disagreeing(read), "layouts": {name: item.layout for name, item in read.items()}}
    figures = [] if published is None else read_figures(published)
    certificate["published_without_predictions"] = sorted(
        {figure.model for figure in figures if matching_model(figure.model, list(models)) is None}
    )
    return retest(models, table, certificate, figures, _plan(metric), EvaluateParams())


def _plan(metric: str) -> Plan:
    """Return the plan of the comparisons: the defaults of `stats`, without resampling."""
    defaults = StatsParams()
    metrics = tuple(dict.fromkeys([metric, *defaults.metrics, "accuracy", "weighted_f1"]))
    return plan_from(defaults, metrics=metrics, primary=metric, replicates=0, permutations=0, naive=False)


def _audited(path: Path | None) -> pd.DataFrame | None:
    """Return pairs.csv of the audit, None where there is none by default."""
    if path is None and not _AUDITED.is_file():
        return None
    return read_csv(path or _AUDITED, PAIR_COLUMNS, "give pairs.csv of `skinlesion audit`")


def read_archive(path: Path | None) -> pd.DataFrame:
    """Return the archive's metadata, lesions of known pairs joined.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    outside = folder_of_environment()
    folders = [*_ARCHIVES, *([outside / LINK_NAME, outside] if outside else [])]
    places = [_PREPARED, *(folder / name for folder in folders for name in METADATA_NAMES)]
    chosen = path or next((place for place in places if place.is_file()), None)
    if chosen is None:
        raise UserError("retest: HAM10000's metadata not found; give HAM10000_metadata.csv by --archive")
    table = read_metadata(chosen)
    return table.assign(lesion_id=joined_lesions(table, present_pairs(read_known_pairs(), table["image_id"])))


def _sorted_files(
    paths: Sequence[Path], classes: Path | None, published: Path | None
) -> tuple[list[Path], Path | None, Path | None]:
    """Return prediction files, class table and published figures, those of a folder told apart by their columns."""
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.name.lower().endswith(_TABLES) and file.is_file())
        if not inside:
            raise UserError(f"{path}: no CSV in this folder; give prediction files")
        for file in inside:
            header = first_bytes(file, 4096).decode("utf-8", errors="replace").splitlines()[:1]
            columns = [name.strip().strip('"').lower() for name in (header or [""])[0].split(",")]
            if "model" in columns:
                published = published or file
            elif len(columns) <= 3 and not file.name.endswith((".gz", ".bz2")):
                classes = classes or file
            else:
                files.append(file)
    if not files:
        raise UserError("retest: no prediction file given; give files, or a folder that holds them")
    return files, classes, published


def _name(path: Path) -> str:
    stem = path.name
    for ending in sorted(_TABLES, key=len, reverse=True):
        stem = stem.removesuffix(ending)
    return printable(path.parent.name if stem == "predictions" else stem)


def _ours(path: Path, table: pd.DataFrame, first: Predictions) -> Predictions:
    """Return this project's predictions of the same images, lesions as in the archive."""
    predictions, _ = read_predictions(path)
    missing = first.image_ids[~np.isin(first.image_ids, predictions.image_ids)]
    if len(missing):
        raise UserError(f"--ours {path}: {len(missing):,} of the images are not in it; give out-of-fold predictions")
    restricted = restrict_images(predictions, first.image_ids)
    lesions = table.set_index("image_id").loc[restricted.image_ids, "lesion_id"].to_numpy(dtype=str)
    return replace(restricted, lesions=lesions)


def _disagreeing(read: dict[str, PublishedPredictions]) -> dict[str, list[str]]:
    return {name: list(item.disagreeing) for name, item in read.items() if item.disagreeing}


def _is_own(path: Path) -> bool:
    if path.suffix in (".html", ".md"):
        return PAGE_MARK.encode() in first_bytes(path, 2**16)
    # The figure has no mark of its own: it lies beside the figures that it shows.
    return b'"certificate"' in first_bytes(path.with_suffix(".json"), 64)
