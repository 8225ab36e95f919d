"""HAM10000 from a local folder: the archive's zips, unzipped folders, or Kaggle's doubled layout.

Tschandl, Rosendahl & Kittler, Scientific Data 5, 180161 (2018), doi:10.7910/DVN/DBW86T.
"""

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skinlesion.data.decode import decode_square
from skinlesion.errors import UserError
from skinlesion.files import read_csv, sha256_file
from skinlesion.params import DataParams
from skinlesion.vocabulary import ATTRIBUTION

ENVIRONMENT = "SKINLESION_DATA"
METADATA_NAMES = ("HAM10000_metadata.csv", "HAM10000_metadata")
#: Name of the link that SKINLESION_DATA becomes inside data.path.
LINK_NAME = "ham10000"

_COLUMNS = ("lesion_id", "image_id", "dx", "age", "sex", "localization")
_DEEPEST = 3  # folders below data.path that are searched


@dataclass(frozen=True)
class _Place:
    """Where an image lies: a file, or a member of a zip."""

    path: Path
    member: str | None
    size: int


def open_source(data: DataParams, root: Path) -> "Ham10000":
    """Return the source over `data.path` (from `root`), after linking SKINLESION_DATA into it where that is set."""
    folder = root / data.path
    outside = os.environ.get(ENVIRONMENT)
    if outside:
        _link(folder, Path(outside).expanduser().resolve())
    return Ham10000(folder)


class Ham10000:
    """The images and metadata found below a folder; each image is taken once, however often it lies there."""

    synthetic = False
    attribution = ATTRIBUTION

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"data.path: {folder} is not a folder; {_remedy(folder)}")
        self._zips: dict[Path, zipfile.ZipFile] = {}
        self._lock = threading.Lock()
        self._metadata: Path | None = None
        self._places: dict[str, _Place] = {}
        self._zip_paths: list[Path] = []
        #: Ids found in several places with different content.
        self.conflicting: set[str] = set()
        for path in _files(folder):
            self._add(path)
        if self._metadata is None:
            raise UserError(f"data.path: no {METADATA_NAMES[0]} in {folder}; {_remedy(folder)}")
        if not self._places:
            raise UserError(
                f"data.path: no HAM10000_images_part_*.zip and no ISIC_*.jpg in {folder}; {_remedy(folder)}"
            )

    def records(self) -> pd.DataFrame:
        """Return the metadata as the archive has it: 7 columns on Kaggle, 8 (with `dataset`) from Dataverse."""
        assert self._metadata is not None
        text = dict.fromkeys(("lesion_id", "image_id", "dx", "sex", "localization"), str)
        remedy = "take HAM10000_metadata from the Dataverse with ?format=original"
        return read_csv(self._metadata, _COLUMNS, remedy, dtype=text, keep_default_na=False, na_values={"age": [""]})

    def has_image(self, image_id: str) -> bool:
        return image_id in self._places

    def read(self, image_id: str, size: int) -> np.ndarray:
        if image_id in self.conflicting:
            raise ValueError("lies in several places with different content")
        return decode_square(self._bytes(self._places[image_id]), size)

    def checksums(self) -> dict[str, str]:
        assert self._metadata is not None
        sums = {path.name: sha256_file(path) for path in (self._metadata, *self._zip_paths)}
        loose = sorted(name for name, place in self._places.items() if place.member is None)
        if loose:
            digest = hashlib.sha256()
            for name in loose:
                digest.update(f"{name} {sha256_file(self._places[name].path)}\n".encode())
            sums[f"{len(loose)} image files"] = digest.hexdigest()
        return sums

    def _add(self, path: Path) -> None:
        if path.name in METADATA_NAMES:
            self._metadata = self._metadata or path
        elif path.suffix.lower() == ".zip" and "images_part" in path.name.lower():
            self._zip_paths.append(path)
            for info in self._zip(path).infolist():
                name = Path(info.filename)
                if name.suffix.lower() == ".jpg" and "__MACOSX" not in name.parts:
                    self._place(name.stem, _Place(path, info.filename, info.file_size))
        elif path.suffix.lower() == ".jpg" and path.name.startswith("ISIC_"):
            self._place(path.stem, _Place(path, None, path.stat().st_size))

    def _place(self, image_id: str, place: _Place) -> None:
        first = self._places.setdefault(image_id, place)
        if first.size != place.size:
            self.conflicting.add(image_id)

    def _zip(self, path: Path) -> zipfile.ZipFile:
        with self._lock:
            if path not in self._zips:
                try:
                    self._zips[path] = zipfile.ZipFile(path)
                except (zipfile.BadZipFile, OSError) as error:
                    raise UserError(f"{path}: not a readable zip ({error}); download it again") from None
            return self._zips[path]

    def _bytes(self, place: _Place) -> bytes:
        if place.member is None:
            return place.path.read_bytes()
        try:
            return self._zip(place.path).read(place.member)
        except zipfile.BadZipFile as error:  # a member whose checksum does not hold
            raise OSError(str(error)) from None


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below `folder` in a fixed order, through links, not deeper than any known layout."""
    for name, folders, files in os.walk(folder, followlinks=True):
        here = Path(name)
        # Capitals sort first: Kaggle's `HAM10000_images_part_1` before its byte-identical `ham10000_…` twin.
        folders[:] = sorted(folders) if len(here.relative_to(folder).parts) < _DEEPEST else []
        yield from (here / file for file in sorted(files))


def _link(folder: Path, target: Path) -> None:
    """Make `folder/ham10000` point to `target`, so that DVC hashes what SKINLESION_DATA names."""
    if not target.is_dir():
        raise UserError(f"{ENVIRONMENT}: {target} is not a folder; name the folder that holds the HAM10000 archive")
    link = folder / LINK_NAME
    if folder.resolve() == target or link.resolve() == target:
        return
    if link.exists() and not link.is_symlink():
        raise UserError(f"{ENVIRONMENT}: {link} is a folder of its own; remove it, or unset {ENVIRONMENT}")
    folder.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target, target_is_directory=True)


def _remedy(folder: Path) -> str:
    return (
        f"put the archive there (doi:10.7910/DVN/DBW86T), link it (ln -s /path/to/ham10000 {folder / LINK_NAME}), "
        f"or set {ENVIRONMENT}"
    )
