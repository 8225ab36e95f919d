"""The ISIC Archive: metadata as its API and its command-line tool deliver them, with a folder of images.

The API nests (`metadata.clinical.age_approx`), the downloaded CSV is flat; anatomical sites are `anatom_site_general`
or `anatom_site_1` … `anatom_site_5`, the coarsest first; diagnoses `diagnosis_1` … `diagnosis_5`.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from typing_extensions import TypedDict

from skinlesion.data.sources.images import ImageIndex
from skinlesion.data.sources.mapping import ISIC_SITES, drop_unmapped, map_sexes, map_sites, map_words
from skinlesion.data.sources.table_source import TableSource, find
from skinlesion.errors import UserError, name_some
from skinlesion.params import DataParams
from skinlesion.reading import as_numbers, read_csv, read_json
from skinlesion.vocabulary import UNKNOWN

#: The archive's finest diagnosis that says which class it is. Squamous cell carcinoma has no class here.
DIAGNOSES = {
    "nevus": "nv",
    "melanoma": "mel",
    "melanoma invasive": "mel",
    "melanoma in situ": "mel",
    "melanoma, nos": "mel",
    "basal cell carcinoma": "bcc",
    "seborrheic keratosis": "bkl",
    "solar lentigo": "bkl",
    "lichen planus like keratosis": "bkl",
    "pigmented benign keratosis": "bkl",
    "actinic keratosis": "akiec",
    "solar or actinic keratosis": "akiec",
    "squamous cell carcinoma in situ": "akiec",
    "dermatofibroma": "df",
    "hemangioma": "vasc",
    "angiokeratoma": "vasc",
    "pyogenic granuloma": "vasc",
    "vascular lesion": "vasc",
}
#: The clinical fields that are read; an answer of the API may hold nested ones besides.
_LEVELS = range(1, 6)
_FIELDS = frozenset(
    {"age_approx", "sex", "lesion_id", "patient_id", "diagnosis", "anatom_site_general"}
    | {f"{name}_{level}" for name in ("diagnosis", "anatom_site") for level in _LEVELS}
)
_ATTRIBUTION = "ISIC Archive; each image under its own licence, see copyright_license in its metadata"


class _Page(TypedDict):
    """An answer of the API."""

    results: list[dict[str, Any]]


def open_source(data: DataParams, root: Path) -> TableSource:
    """Return the source in `data.path`, which holds metadata*.csv or *.json (one API response per file) and images.

    Raises:
        UserError: no metadata, or none with an id.
    """
    folder = root / data.path
    pages = sorted(folder.rglob("*.json")) if folder.is_dir() else []
    paths = pages or find(folder, "*metadata*.csv", "ISIC Archive metadata")
    raw = pd.concat([_read(path) for path in paths], ignore_index=True).drop_duplicates("isic_id")
    raw = raw.reset_index(drop=True)
    missing = pd.Series(pd.NA, index=raw.index, dtype="string")

    def column(name: str) -> pd.Series:
        return raw[name] if name in raw.columns else missing

    lesion = column("lesion_id").astype("string")
    table = pd.DataFrame(
        {
            "image_id": raw["isic_id"],
            "lesion_id": lesion.where(lesion.notna() & (lesion != ""), raw["isic_id"]).astype(str),
            "age": as_numbers(column("age_approx")),
            "sex": map_sexes(column("sex")),
            "localization": _finest_site(raw),
        }
    )
    if "patient_id" in raw.columns:
        table["patient_id"] = raw["patient_id"].astype("string").fillna("")
    table, dropped = drop_unmapped(table, _finest_diagnosis(raw), DIAGNOSES)
    return TableSource(table, ImageIndex(folder), paths, _ATTRIBUTION, dropped)


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return read_csv(path, ("isic_id",), "export it from the archive again", dtype={"isic_id": str})
    remedy = "save the API's answer again"
    content = read_json(path, remedy, _Page | list[dict[str, Any]])
    rows = [_flat(result) for result in (content["results"] if isinstance(content, dict) else content)]
    if not rows or any(not isinstance(row["isic_id"], str) or not row["isic_id"] for row in rows):
        raise UserError(f"{path}: images without isic_id; {remedy}")
    nested = sorted({name for row in rows for name, value in row.items() if isinstance(value, list | dict)})
    if nested:
        raise UserError(f"{path}: {name_some(nested)}: not a single value; {remedy}")
    return pd.DataFrame(rows)


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    """Return an image's id and clinical fields in one level."""
    nested = result.get("metadata", {})
    clinical = nested.get("clinical", result) if isinstance(nested, dict) else result
    clinical = clinical if isinstance(clinical, dict) else {}
    fields = {name: value for name, value in clinical.items() if name in _FIELDS}
    return {"isic_id": result.get("isic_id")} | fields


def _finest_diagnosis(raw: pd.DataFrame) -> pd.Series:
    """Return the most specific diagnosis that has a class here, else the most specific one given."""
    diagnosis = pd.Series(pd.NA, index=raw.index, dtype="string")
    for name in ("diagnosis", *(f"diagnosis_{level}" for level in _LEVELS)):
        if name in raw.columns:
            values = raw[name].astype("string")
            mapped, before = map_words(values, DIAGNOSES).notna(), map_words(diagnosis, DIAGNOSES).notna()
            diagnosis = values.where(values.notna() & (mapped | ~before), diagnosis)
    return diagnosis


def _finest_site(raw: pd.DataFrame) -> pd.Series:
    """Return the most specific site that the vocabulary has, under either naming of the columns."""
    finest = pd.Series(UNKNOWN, index=raw.index)
    for name in ("anatom_site_general", *(f"anatom_site_{level}" for level in _LEVELS)):
        if name in raw.columns:
            site = map_sites(raw[name], ISIC_SITES)
            finest = site.where(site != UNKNOWN, finest)
    return finest
