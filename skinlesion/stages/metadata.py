"""metadata: what age, sex and localization add to each multimodal experiment."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from skinlesion.analysis.metadata_value import TWIN, MetadataValue
from skinlesion.atomic import replacing_folder
from skinlesion.errors import UserError
from skinlesion.evaluation.masked_metadata import ALL_SHOWN, PERMUTED, SHOWN
from skinlesion.evaluation.prediction_rows import with_run_columns
from skinlesion.evaluation.predictions import Predictions, read_predictions, restrict_images, restrict_repeats
from skinlesion.files import write_csv, write_json
from skinlesion.params import Params
from skinlesion.reading import read_csv
from skinlesion.results.names import MASKED_COLUMNS, MASKED_NAME, METADATA_VALUE_NAME, PREDICTIONS_NAME
from skinlesion.results.selection import twin_of
from skinlesion.results.workspace import Workspace, evaluate_command
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS


def metadata(params: Params, workspace: Workspace) -> dict[str, dict[str, float]]:
    """Write reports/metadata/: masked.csv, missing.csv, shapley.csv, shapley_classes.csv, images/ and metadata.json.

    Every experiment that reads metadata is evaluated with each set of fields, with records exchanged between lesions,
    and with a growing share of fields missing, beside its image-only twin: the experiment that differs in nothing else.

    Returns:
        The content of metadata.json: headline figures by experiment.

    Raises:
        UserError: an experiment was not evaluated.
    """
    out = workspace.metadata_value
    tables: dict[str, list[pd.DataFrame]] = {"masked": [], "missing": [], "shapley": [], "shapley_classes": []}
    headlines, by_image = {}, {}
    for name in params.experiments:
        if params.experiment(name).fusion == "none":
            continue
        value = _read(params, workspace, name)
        tables["masked"].append(value.masked())
        tables["missing"].append(value.missing())
        tables["shapley"].append(value.shapley())
        classes, by_image[name] = value.shapley_of_probabilities()
        tables["shapley_classes"].append(classes)
        headlines[name] = value.headline()
    with replacing_folder(out / "images") as folder:
        for name, images in by_image.items():
            write_csv(folder / f"{name}.csv", images, float_format="%.5g")
    for table, parts in tables.items():
        content = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["experiment"])
        write_csv(out / f"{table}.csv", content, float_format="%.9g")
    write_json(out / METADATA_VALUE_NAME, headlines)
    return headlines


def _read(params: Params, workspace: Workspace, name: str) -> MetadataValue:
    """Return an experiment beside its twin, both on the images and partitions that both were tested on."""
    folder = workspace.results(name)
    whole, _ = read_predictions(folder / PREDICTIONS_NAME, remedy=evaluate_command(params, name))
    tested = {ALL_SHOWN: whole} | _read_masked(folder, evaluate_command(params, name), whole)
    twin = twin_of(params, name)
    if twin is not None:
        path = workspace.results(twin) / PREDICTIONS_NAME
        twin_predictions, _ = read_predictions(path, remedy=evaluate_command(params, twin))
        common = np.intersect1d(whole.image_ids, twin_predictions.image_ids)
        repeats = set(whole.repeats) & set(twin_predictions.repeats)
        if len(common) and repeats:
            versions = tested | {TWIN: twin_predictions}
            tested = {
                version: restrict_repeats(restrict_images(predictions, common), repeats)
                for version, predictions in versions.items()
            }
        else:
            twin = None
    return MetadataValue(name, twin, tested, params.evaluate)


def _read_masked(folder: Path, remedy: str, whole: Predictions) -> dict[str, Predictions]:
    """Return the predictions of masked.csv by version, the images in the order of `whole`, those of predictions.csv.

    Raises:
        UserError: the file is missing or a version of it is.
    """
    required = tuple(name for name in MASKED_COLUMNS if name != "repeat")  # older files have none
    text = {"image_id": str, "shown": str}
    path, numbers = folder / MASKED_NAME, tuple(name for name in MASKED_COLUMNS if name not in text)
    table = read_csv(
        path, required, remedy, numbers=numbers, dtype=text, keep_default_na=False, na_values={
            name: [""] for name in numbers
        },
    )  # fmt: skip
    answers = table[list(PROBABILITY_COLUMNS)]
    if not answers.ge(0).all(axis=None) or not answers.sum(axis=1).gt(0).all():
        raise UserError(f"{path}: values that are not probabilities; {remedy}")
    table = with_run_columns(table)
    versions: dict[str, Predictions] = {}
    for version, rows in table.groupby("shown"):
        ordered = rows.sort_values(["repeat", "seed", "image_id"])
        if len(ordered) != len(whole.seeds) * len(whole.labels):
            raise UserError(f"{folder / MASKED_NAME}: {version}: other images than predictions.csv; {remedy}")
        layers = (
            ordered[list(PROBABILITY_COLUMNS)]
            .to_numpy(dtype=float)
            .reshape(len(whole.seeds), len(whole.labels), len(CLASSES))
        )
        versions[str(version)] = replace(whole, probabilities=layers / layers.sum(axis=2, keepdims=True))
    missing = {*SHOWN, PERMUTED} - {ALL_SHOWN, *versions}
    if missing:
        raise UserError(f"{folder / MASKED_NAME}: no predictions of version {', '.join(sorted(missing))}; {remedy}")
    return versions
