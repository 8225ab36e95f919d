"""ISIC Challenge 2018 (task 3) and 2019: one-hot ground truth, optional metadata, images in zips or folders.

ISIC 2019's training set contains HAM10000 (ids ISIC_0024306 to ISIC_0034320): never test on both.
"""

from pathlib import Path

import pandas as pd

from skinlesion.data.sources.images import ImageIndex
from skinlesion.data.sources.mapping import ISIC_SITES, drop_unmapped, map_sexes, map_sites
from skinlesion.data.sources.table_source import TableSource, find
from skinlesion.errors import UserError, name_some
from skinlesion.params import DataParams
from skinlesion.reading import as_numbers, read_csv, shown_problem
from skinlesion.vocabulary import UNKNOWN

#: Ground-truth columns of 2018 (AKIEC) and 2019 (AK, SCC, UNK). Squamous cell carcinoma has no class here.
DIAGNOSES = {"AKIEC": "akiec", "AK": "akiec", "BCC": "bcc", "BKL": "bkl", "DF": "df", "MEL": "mel", "NV": "nv",
             "VASC": "vasc"}  # fmt: skip
_TRUTHS = {*DIAGNOSES, "SCC", "UNK"}
_ATTRIBUTION = "ISIC Challenge data, CC BY-NC 4.0; https://challenge.isic-archive.com/data/"


def open_source(data: DataParams, root: Path) -> TableSource:
    """Return the source of all *GroundTruth.csv files below `data.path`.

    Raises:
        UserError: no ground truth, or an image without exactly one diagnosis.
    """
    folder = root / data.path
    truths = find(folder, "*GroundTruth*.csv", "ground truth")
    others = [*sorted(folder.rglob("*Metadata*.csv")), *sorted(folder.rglob("*LesionGroupings*.csv"))]
    truth = pd.concat([_read_truth(path) for path in truths], ignore_index=True)
    table, dropped = drop_unmapped(truth[["image_id"]], truth["raw"], DIAGNOSES)
    for path in others:
        extra = read_csv(path, ("image",), "use the challenge's own file", dtype={"image": str, "lesion_id": str})
        columns = [name for name in extra.columns if name != "image" and name not in table.columns]
        table = table.merge(extra[["image", *columns]], how="left", left_on="image_id", right_on="image")
        table = table.drop(columns="image")
    return TableSource(_complete(table), ImageIndex(folder), [*truths, *others], _ATTRIBUTION, dropped)


def _read_truth(path: Path) -> pd.DataFrame:
    table = read_csv(path, ("image",), "use the challenge's own file", dtype={"image": str})
    columns = [name for name in table.columns if name.upper() in _TRUTHS]
    if not columns:
        raise UserError(f"{path}: has none of the columns {', '.join(sorted(_TRUTHS))}; use the challenge's own file")
    try:
        answers = table[columns].astype(float)
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: a diagnosis is no number ({shown_problem(error)}); use the challenge's own file"
        ) from None
    invalid = (answers.sum(axis=1) != 1) | ~answers.isin([0, 1]).all(axis=1)
    if invalid.any():
        raise UserError(f"{path}: not exactly one diagnosis at {name_some(table.loc[invalid, 'image'])}")
    # By name: the order of the columns differs between years.
    return pd.DataFrame({"image_id": table["image"], "raw": answers.idxmax(axis=1).map(lambda name: str(name).upper())})


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    missing = pd.Series(pd.NA, index=table.index, dtype="string")

    def column(*names: str) -> pd.Series:
        return next((table[name] for name in names if name in table.columns), missing)

    lesion = column("lesion_id").astype("string")
    return pd.DataFrame(
        {
            "image_id": table["image_id"],
            # An image without a lesion id counts as a lesion of its own.
            "lesion_id": lesion.where(lesion.notna() & (lesion != ""), table["image_id"]).astype(str),
            "dx": table["dx"],
            "age": as_numbers(column("age_approx")),
            "sex": map_sexes(column("sex")),
            "localization": map_sites(column("anatom_site_general"), ISIC_SITES),
        }
    ).fillna({"sex": UNKNOWN})
