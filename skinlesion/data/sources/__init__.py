"""Where images and metadata come from: one module a source, one factory."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from skinlesion.errors import UserError, choices

if TYPE_CHECKING:
    import pandas as pd

    from skinlesion.data.decode import Photograph
    from skinlesion.params import DataParams, PrepareParams

#: Name → module. Imported only when asked for, so that a stage depends on the source it uses and on no other.
SOURCES = ("ham10000", "isic_challenge", "isic_archive", "pad_ufes_20", "derm7pt", "folder", "phantom")


class Source(Protocol):
    """Images and metadata of one data set, before any check."""

    synthetic: bool
    attribution: str
    #: The data set's own word for a diagnosis → images left out because it has no class here.
    dropped: dict[str, int]

    def records(self) -> pd.DataFrame:
        """Return one row an image with at least `image_id, lesion_id, dx, age, sex, localization`, unchecked."""

    def has_image(self, image_id: str) -> bool:
        """Return whether an image of that id exists."""

    def read(self, image_id: str, settings: PrepareParams) -> Photograph:
        """Return the image as `settings` wants it; raises OSError or ValueError when it cannot be decoded."""

    def checksums(self) -> dict[str, str]:
        """Return what identifies the raw data: file (or recipe) → SHA-256."""


def make_source(data: DataParams, root: Path) -> Source:
    """Return the source that `data.source` names; relative paths start at `root`.

    Raises:
        UserError: the name is unknown or its files are not there.
    """
    if data.source not in SOURCES:
        raise UserError(f"data.source: {data.source!r} is not a source; {choices(SOURCES, data.source)}")
    module = importlib.import_module(f"skinlesion.data.sources.{data.source}")
    source: Source = module.open_source(data, root)
    return source
