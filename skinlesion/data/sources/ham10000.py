"""HAM10000 from a local folder: the archive's zips, unzipped folders, or Kaggle's layout with doubled folders.

Tschandl, Rosendahl & Kittler, Scientific Data 5, 180161 (2018), doi:10.7910/DVN/DBW86T.
"""

import os
from pathlib import Path
from typing import ClassVar

import pandas as pd

from skinlesion.data.decode import Photograph, decode, frame_of
from skinlesion.data.fetch import fetch
from skinlesion.data.ham10000_places import ENVIRONMENT, LINK_NAME, METADATA_NAMES, folder_of_environment
from skinlesion.data.sources.images import ImageIndex, files_below
from skinlesion.errors import UserError
from skinlesion.files import sha256_file
from skinlesion.params import DataParams, PrepareParams
from skinlesion.reading import read_csv
from skinlesion.vocabulary import ATTRIBUTION

_COLUMNS = ("lesion_id", "image_id", "dx", "age", "sex", "localization")


def open_source(data: DataParams, root: Path) -> "Ham10000":
    """Return the source in `data.path` (relative to `root`).

    If SKINLESION_DATA is set, it is linked into the folder first; else, with `data.download`, a missing archive is
    fetched.

    Raises:
        UserError: the archive is missing, or cannot be fetched.
    """
    folder = root / data.path
    outside = folder_of_environment()
    if outside:
        _link(folder, outside)
    elif data.download and is_absent(folder):
        print(f"no HAM10000 in {folder}: fetching it (data.download: false leaves that to you)", flush=True)
        try:
            fetch("auto", folder / LINK_NAME)
        except UserError as error:
            raise UserError(f"data.path: no HAM10000 in {folder}, and {error}; else {_remedy(folder)}") from None
    return Ham10000(folder)


def is_absent(folder: Path) -> bool:
    """Return whether a folder holds no image, or an incomplete download.

    With a link to an archive elsewhere, nothing is missing here.
    """
    if (folder / LINK_NAME).is_symlink():
        return False
    if not folder.is_dir():
        return True
    incomplete = any(path.suffix == ".part" for path in files_below(folder))
    return incomplete or not len(ImageIndex(folder, _image_id, _holds_images))


class Ham10000:
    """The images and metadata below a folder; copies of an image count once."""

    synthetic = False
    dropped: ClassVar[dict[str, int]] = {}
    attribution = ATTRIBUTION

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"data.path: {folder} is not a folder; {_remedy(folder)}")
        self._images = ImageIndex(folder, _image_id, _holds_images)
        tables = [path for path in files_below(folder) if path.name in METADATA_NAMES]
        if not tables:
            raise UserError(f"data.path: no {METADATA_NAMES[0]} in {folder}; {_remedy(folder)}")
        self._metadata = tables[0]
        if not len(self._images):
            raise UserError(
                f"data.path: no HAM10000_images_part_*.zip and no ISIC_*.jpg in {folder}; {_remedy(folder)}"
            )

    def records(self) -> pd.DataFrame:
        """Return the metadata as the archive has it: 7 columns on Kaggle, 8 (with `dataset`) from Dataverse."""
        text = dict.fromkeys(("lesion_id", "image_id", "dx", "sex", "localization"), str)
        remedy = "take HAM10000_metadata from the Dataverse with ?format=original"
        return read_csv(self._metadata, _COLUMNS, remedy, dtype=text, keep_default_na=False, na_values={"age": [""]})

    def has_image(self, image_id: str) -> bool:
        return image_id in self._images

    def frame(self, image_id: str, settings: PrepareParams) -> tuple[int, int]:
        return frame_of(self._images.read(image_id), settings.image_size)

    def read(self, image_id: str, settings: PrepareParams) -> Photograph:
        return decode(self._images.read(image_id), settings)

    def checksums(self) -> dict[str, str]:
        return {self._metadata.name: sha256_file(self._metadata)} | self._images.checksums()


def _image_id(name: str) -> str | None:
    """Return the id of a photograph, or None for masks and other files."""
    path = Path(name)
    is_image = path.suffix.lower() == ".jpg" and path.name.startswith("ISIC_")
    return path.stem if is_image else None


def _holds_images(path: Path) -> bool:
    """Return whether a zip is the archive's or the ISIC Challenge 2018's, which has the same images."""
    name = path.name.lower()
    return "images_part" in name or "task3_training_input" in name


def _link(folder: Path, target: Path) -> None:
    """Link `folder/ham10000` to `target`, so that DVC hashes the folder that SKINLESION_DATA names."""
    if not target.is_dir():
        raise UserError(f"{ENVIRONMENT}: {target} is not a folder; name the folder that holds the HAM10000 archive")
    link = folder / LINK_NAME
    # Not Path.resolve, which raises RuntimeError where a link leads to itself.
    if str(target) in (os.path.realpath(folder), os.path.realpath(link)):
        return
    if link.exists() and not link.is_symlink():
        raise UserError(f"{ENVIRONMENT}: {link} is a folder of its own; remove it, or unset {ENVIRONMENT}")
    folder.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target, target_is_directory=True)


def _remedy(folder: Path) -> str:
    link = folder / LINK_NAME
    return (
        f"fetch it (skinlesion fetch ham10000 --out {link}), put the archive there (doi:10.7910/DVN/DBW86T), "
        f"link it (ln -s /path/to/ham10000 {link}), or set {ENVIRONMENT}"
    )
