"""describe: the data set's page and the tables behind it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from skinlesion.data.description import describe_tables, pick_images
from skinlesion.files import write_csv, write_text
from skinlesion.params import Params
from skinlesion.report.dataset_page import dataset_page
from skinlesion.report.public_page import check_public
from skinlesion.results.names import DATASET_PAGE_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace

_EACH = 16  # images of a class on the contact sheet


def describe(params: Params, workspace: Workspace, public: Path | None = None) -> Path:
    """Write reports/dataset/: a page and its tables as CSV; return the page's path.

    Args:
        public: where the page without photographs is written as well.

    Raises:
        UserError: the data set is not prepared, or something else lies at `public`.
    """
    if public is not None:
        check_public(public, "describe")
    results = Results(params, workspace)
    metadata = results.metadata
    tables = describe_tables(metadata)
    ages = {dx: metadata.loc[metadata["dx"] == dx, "age"].dropna().to_numpy() for dx in tables["classes"]["dx"]}
    sheets = {
        dx: [(image_id, results.photograph(image_id)) for image_id in ids]
        for dx, ids in pick_images(metadata, _EACH).items()
    }

    def page(images: Mapping[str, list[tuple[str, np.ndarray]]] | None) -> str:
        return dataset_page(params.report.title, results.prepared, tables, ages, images)

    for name, table in tables.items():
        write_csv(workspace.dataset / f"{name}.csv", table, float_format="%.6g")
    write_text(workspace.dataset / DATASET_PAGE_NAME, page(sheets))
    if public is not None:
        write_text(public, page(None))
    return workspace.dataset / DATASET_PAGE_NAME
