"""Sources of images and metadata: one module per data set, opened by one factory."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from skinlesion.choices import Source as SourceName
from skinlesion.choices import names
from skinlesion.errors import UserError, choices

if TYPE_CHECKING:
    import pandas as pd

    from skinlesion.data.decode import Photograph
    from skinlesion.params import DataParams, PrepareParams

#: Each is a module of this folder, imported only when asked for.
SOURCES = names(SourceName)


class Source(Protocol):
    """The images and raw metadata of one data set."""

    synthetic: bool
    attribution: str
    #: Diagnosis in the data set's own words → number of images excluded because it has no class here.
    dropped: dict[str, int]

    def records(self) -> pd.DataFrame:
        """Return one row per image with at least `image_id, lesion_id, dx, age, sex, localization`, unchecked."""

    def has_image(self, image_id: str) -> bool:
        """Return whether an image of that id exists."""

    def frame(self, image_id: str, settings: PrepareParams) -> tuple[int, int]:
        """Return height and width of the image as `read` gives it; raises OSError or ValueError as that does."""

    def read(self, image_id: str, settings: PrepareParams) -> Photograph:
        """Return the image prepared as `settings` asks; raises OSError or ValueError if it cannot be decoded."""

    def checksums(self) -> dict[str, str]:
        """Return the identity of the raw data: file (or recipe) → SHA-256."""


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
