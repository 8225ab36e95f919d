"""PAD-UFES-20: clinical photographs by smartphone (Pacheco et al., Data in Brief 32, 2020; CC BY 4.0).

`biopsed` leaks the label and is never read. A patient may have several lesions: splits keep patients together.
"""

from pathlib import Path

import pandas as pd

from skinlesion.data.sources.images import ImageIndex
from skinlesion.data.sources.mapping import drop_unmapped, map_sexes, map_sites
from skinlesion.data.sources.table_source import TableSource, find
from skinlesion.params import DataParams
from skinlesion.reading import as_numbers, read_csv

#: SCC counts as akiec by convention: its in-situ form is Bowen's disease, which HAM10000 files there.
DIAGNOSES = {"ACK": "akiec", "SCC": "akiec", "BCC": "bcc", "SEK": "bkl", "MEL": "mel", "NEV": "nv"}
SITES = {"arm": "upper extremity", "forearm": "upper extremity", "thigh": "lower extremity", "nose": "face",
         "lip": "face"}  # fmt: skip
_COLUMNS = ("patient_id", "lesion_id", "img_id", "age", "gender", "region", "diagnostic")


def open_source(data: DataParams, root: Path) -> TableSource:
    """Return the source in `data.path`, which holds metadata.csv and the images.

    Raises:
        UserError: metadata.csv is missing or lacks a column.
    """
    folder = root / data.path
    path = find(folder, "metadata.csv", "PAD-UFES-20 metadata")[0]
    raw = read_csv(
        path,
        _COLUMNS,
        "take PAD-UFES-20's own metadata.csv",
        dtype={"patient_id": str, "lesion_id": str, "img_id": str},
    )
    table = pd.DataFrame(
        {
            "image_id": raw["img_id"].str.removesuffix(".png"),
            "patient_id": raw["patient_id"],
            "lesion_id": raw["patient_id"] + "_" + raw["lesion_id"],
            "age": as_numbers(raw["age"]),
            "sex": map_sexes(raw["gender"]),
            "localization": map_sites(raw["region"], SITES),
        }
    )
    table, dropped = drop_unmapped(table, raw["diagnostic"], DIAGNOSES)
    return TableSource(table, ImageIndex(folder), [path], "PAD-UFES-20, CC BY 4.0, doi:10.17632/zr7vgbcyr2", dropped)
