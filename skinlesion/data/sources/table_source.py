"""The common part of sources that are a table and a folder of images."""

from pathlib import Path

import pandas as pd

from skinlesion.data.decode import Photograph, decode, frame_of
from skinlesion.data.sources.images import ImageIndex
from skinlesion.errors import UserError
from skinlesion.files import sha256_file
from skinlesion.params import PrepareParams


class TableSource:
    """A source with an index of images and the records that the data set's module made."""

    synthetic = False

    def __init__(
        self,
        records: pd.DataFrame,
        images: ImageIndex,
        tables: list[Path],
        attribution: str,
        dropped: dict[str, int],
    ) -> None:
        self.attribution = attribution
        #: Diagnosis in the data set's own words → number of images excluded because it has no class here.
        self.dropped = dropped
        self._records, self._images, self._tables = records, images, tables

    def records(self) -> pd.DataFrame:
        return self._records

    def has_image(self, image_id: str) -> bool:
        return image_id in self._images

    def frame(self, image_id: str, settings: PrepareParams) -> tuple[int, int]:
        return frame_of(self._images.read(image_id), settings.image_size)

    def read(self, image_id: str, settings: PrepareParams) -> Photograph:
        return decode(self._images.read(image_id), settings)

    def checksums(self) -> dict[str, str]:
        return {path.name: sha256_file(path) for path in self._tables} | self._images.checksums()


def find(folder: Path, pattern: str, what: str) -> list[Path]:
    """Return the files below `folder` whose names match `pattern`, sorted.

    Raises:
        UserError: there is none; the message names `what` is missing.
    """
    paths = sorted(folder.rglob(pattern)) if folder.is_dir() else []
    if not paths:
        raise UserError(f"data.path: no {what} ({pattern}) in {folder}; put the data set there")
    return paths
