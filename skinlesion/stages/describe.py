"""describe: the data set's page and the tables behind it."""

from pathlib import Path

import numpy as np

from skinlesion.data.description import describe_tables, pick_images
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.data.store import IMAGES_NAME, PREPARED_NAME, open_images
from skinlesion.files import read_json, write_csv, write_text
from skinlesion.report.dataset_page import dataset_page
from skinlesion.stages.workspace import Workspace

PAGE_NAME = "dataset.html"
_EACH = 16  # images of a class on the contact sheet


def describe(title: str, workspace: Workspace) -> Path:
    """Write reports/dataset/: a page and its tables as CSV; return the page's path.

    Raises:
        UserError: the data set is not prepared.
    """
    prepared = read_json(workspace.prepared / PREPARED_NAME, "run `skinlesion prepare` first")
    table = read_metadata(workspace.prepared / METADATA_NAME)
    images = open_images(workspace.prepared / IMAGES_NAME)
    rows = {image_id: row for row, image_id in enumerate(table["image_id"])}
    sheets = {
        dx: [(image_id, np.asarray(images[rows[image_id]])) for image_id in ids]
        for dx, ids in pick_images(table, _EACH).items()
    }
    tables = describe_tables(table)
    ages = {dx: table.loc[table["dx"] == dx, "age"].dropna().to_numpy() for dx in tables["classes"]["dx"]}
    out = workspace.reports / "dataset"
    for name, one in tables.items():
        write_csv(out / f"{name}.csv", one, float_format="%.6g")
    write_text(out / PAGE_NAME, dataset_page(title, prepared, tables, ages, sheets))
    return out / PAGE_NAME
