"""Any table with a folder of images: `data.folder` names the columns and maps the diagnoses to classes."""

from pathlib import Path

import pandas as pd

from skinlesion.data.sources.images import ImageIndex
from skinlesion.data.sources.mapping import drop_unmapped, map_sexes, map_sites
from skinlesion.data.sources.table_source import TableSource
from skinlesion.errors import UserError, choices
from skinlesion.params import DataParams
from skinlesion.reading import as_numbers, read_csv
from skinlesion.vocabulary import CLASSES


def open_source(data: DataParams, root: Path) -> TableSource:
    """Return the source in `data.path` as `data.folder` describes it.

    Raises:
        UserError: no such table or column, or a diagnosis mapped to no class.
    """
    settings, folder = data.folder, root / data.path
    path = folder / settings.table
    columns = settings.columns
    column_names = {ours: theirs for ours, theirs in columns if theirs is not None}
    raw = read_csv(path, tuple(column_names.values()), "name its columns in data.folder.columns", dtype=str)
    for theirs, ours in settings.diagnoses.items():
        if ours not in CLASSES:
            raise UserError(f"data.folder.diagnoses.{theirs}: {ours} is not a class; {choices(CLASSES, ours)}")
    missing = pd.Series(pd.NA, index=raw.index, dtype="string")

    def column(ours: str) -> pd.Series:
        return raw[column_names[ours]] if ours in column_names else missing

    image_ids = raw[column_names["image_id"]].map(lambda name: Path(name).stem, na_action="ignore")
    table = pd.DataFrame(
        {
            "image_id": image_ids,
            "lesion_id": column("lesion_id").astype("string").fillna(image_ids.astype("string")).astype(str),
            "age": as_numbers(column("age")),
            "sex": map_sexes(column("sex")),
            "localization": map_sites(column("localization"), settings.localizations),
        }
    )
    if "patient_id" in column_names:
        table["patient_id"] = column("patient_id").astype("string").fillna("")
    words = {name: name for name in CLASSES} | settings.diagnoses
    table, dropped = drop_unmapped(table, column("dx"), words)
    return TableSource(table, ImageIndex(folder), [path], f"{path.name}: as its owner says", dropped)
