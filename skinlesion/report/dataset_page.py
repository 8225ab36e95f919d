"""The page of a data set: classes, ages, sexes, sites and sources, and some images of each class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.report import dataset_figures as figures
from skinlesion.report.embedded import embedded_csv
from skinlesion.report.templates import render, thumbnail

_SIDE = 120  # pixels of a photograph on the contact sheet
_TITLES = {
    "sex": "Sex",
    "localization": "Localization",
    "dataset": "Where the image comes from (dataset)",
    "dx_type": "How the diagnosis was made (dx_type)",
}


def dataset_page(
    title: str,
    prepared: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    ages: Mapping[str, np.ndarray],
    sheets: Mapping[str, list[tuple[str, np.ndarray]]] | None,
) -> str:
    """Return the page.

    Args:
        prepared: content of prepared.json.
        tables: of data.description.describe_tables.
        ages: class → ages in years, missing ones left out.
        sheets: class → (image id, pixels (S, S, 3) uint8) of some images; None makes the page without photographs.
    """
    classes = tables["classes"]
    return render(
        "dataset.html.j2",
        title=title,
        prepared=prepared,
        classes=classes.to_dict("records"),
        counts_svg=figures.class_counts(classes),
        ages_svg=figures.ages({dx: values for dx, values in ages.items() if len(values)}),
        crossed=[
            (_TITLES[name], name, tables[name].to_dict("split")["data"], figures.shares(tables[name].set_index(name)))
            for name in _TITLES
            if name in tables
        ],
        csvs=[embedded_csv(name, table) for name, table in tables.items()],
        per_lesion=tables["images_per_lesion"].to_dict("records"),
        public=sheets is None,
        sheets={
            dx: [(image_id, thumbnail(pixels, _SIDE)) for image_id, pixels in images]
            for dx, images in (sheets or {}).items()
        },
    )
