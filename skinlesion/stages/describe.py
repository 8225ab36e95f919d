"""describe: the data set's page and the tables behind it."""

from pathlib import Path

from skinlesion.data.description import describe_tables, pick_images
from skinlesion.files import write_csv, write_text
from skinlesion.params import Params
from skinlesion.report.dataset_page import dataset_page
from skinlesion.results.names import DATASET_PAGE_NAME
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace

_EACH = 16  # images of a class on the contact sheet


def describe(params: Params, workspace: Workspace) -> Path:
    """Write reports/dataset/: a page and its tables as CSV; return the page's path.

    Raises:
        UserError: the data set is not prepared.
    """
    results = Results(params, workspace)
    metadata = results.metadata
    tables = describe_tables(metadata)
    ages = {dx: metadata.loc[metadata["dx"] == dx, "age"].dropna().to_numpy() for dx in tables["classes"]["dx"]}
    sheets = {
        dx: [(image_id, results.photograph(image_id)) for image_id in ids]
        for dx, ids in pick_images(metadata, _EACH).items()
    }
    page = dataset_page(params.report.title, results.prepared, tables, ages, sheets)
    for name, table in tables.items():
        write_csv(workspace.dataset / f"{name}.csv", table, float_format="%.6g")
    write_text(workspace.dataset / DATASET_PAGE_NAME, page)
    return workspace.dataset / DATASET_PAGE_NAME
