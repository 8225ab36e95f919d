"""derm7pt: dermoscopy with the seven-point checklist (Kawahara et al., IEEE J-BHI 23, 2019). Without ages."""

from pathlib import Path

import pandas as pd

from skinlesion.data.sources.images import ImageIndex
from skinlesion.data.sources.mapping import drop_unmapped, map_sexes, map_sites
from skinlesion.data.sources.table_source import TableSource, find
from skinlesion.params import DataParams
from skinlesion.reading import read_csv

DIAGNOSES = {
    "basal cell carcinoma": "bcc",
    "blue nevus": "nv",
    "clark nevus": "nv",
    "combined nevus": "nv",
    "congenital nevus": "nv",
    "dermal nevus": "nv",
    "recurrent nevus": "nv",
    "reed or spitz nevus": "nv",
    "melanoma": "mel",
    "melanoma (in situ)": "mel",
    "melanoma (less than 0.76 mm)": "mel",
    "melanoma (0.76 to 1.5 mm)": "mel",
    "melanoma (more than 1.5 mm)": "mel",
    "melanoma metastasis": "mel",
    "dermatofibroma": "df",
    "lentigo": "bkl",
    "seborrheic keratosis": "bkl",
    "vascular lesion": "vasc",
}
SITES = {"head neck": "face", "upper limbs": "upper extremity", "lower limbs": "lower extremity",
         "genital areas": "genital"}  # fmt: skip
_COLUMNS = ("case_num", "diagnosis", "location", "sex", "derm")


def open_source(data: DataParams, root: Path) -> TableSource:
    """Return the source in `data.path`, which holds release_v0 (meta/meta.csv and images/); dermoscopic images only.

    Raises:
        UserError: no meta.csv, or one that lacks a column.
    """
    folder = root / data.path
    path = find(folder, "meta.csv", "derm7pt metadata")[0]
    raw = read_csv(path, _COLUMNS, "take derm7pt's own meta.csv", dtype={"case_num": str, "derm": str})
    table = pd.DataFrame(
        {
            "image_id": raw["derm"].map(_image_id, na_action="ignore"),
            "lesion_id": "derm7pt_" + raw["case_num"],
            "age": float("nan"),
            "sex": map_sexes(raw["sex"]),
            "localization": map_sites(raw["location"], SITES),
        }
    )
    table, dropped = drop_unmapped(table, raw["diagnosis"], DIAGNOSES)
    return TableSource(
        table, ImageIndex(folder, _image_id), [path], "derm7pt, for research; doi:10.1109/JBHI.2018.2824327", dropped
    )


def _image_id(name: str) -> str:
    """Return the id of an image: its last folder and name, as names repeat between folders."""
    path = Path(name)
    return f"{path.parent.name}_{path.stem}".lower()
