"""The synthetic data set (phantom) as a source."""

import hashlib
from pathlib import Path
from typing import ClassVar

import pandas as pd

from skinlesion.data.decode import Photograph, adjust
from skinlesion.data.phantom.drawing import draw
from skinlesion.data.phantom.population import draw_population
from skinlesion.files import sha256_json
from skinlesion.params import DataParams, PrepareParams


def open_source(data: DataParams, root: Path) -> "Phantom":
    """Return the phantom that `data.phantom` describes; `root` is not used."""
    settings = data.phantom
    return Phantom(settings.images, settings.seed, settings.metadata_signal)


class Phantom:
    """Synthetic dermoscopy-like images with HAM10000's frequencies; see `skinlesion.data.phantom`."""

    synthetic = True
    dropped: ClassVar[dict[str, int]] = {}
    attribution = "Synthetic data, drawn by skinlesion's phantom; no patient is shown."

    def __init__(self, images: int, seed: int, metadata_signal: float) -> None:
        self._recipe = {"images": images, "seed": seed, "metadata_signal": metadata_signal}
        self._table = draw_population(images, seed, metadata_signal)
        self._rows = {image_id: row for row, image_id in enumerate(self._table["image_id"])}
        self._seed = seed

    def records(self) -> pd.DataFrame:
        return self._table.copy()

    def has_image(self, image_id: str) -> bool:
        return image_id in self._rows

    def frame(self, image_id: str, settings: PrepareParams) -> tuple[int, int]:
        return settings.image_size, settings.image_size

    def read(self, image_id: str, settings: PrepareParams) -> Photograph:
        """Return an image drawn at the requested size, as if its file held exactly these pixels."""
        size = settings.image_size
        row = self._table.iloc[self._rows[image_id]]
        lesion = int(row["lesion_id"].rpartition("_L")[2])
        pixels = draw(
            row["dx"], size, lesion_seed=(self._seed, 1, lesion), image_seed=(self._seed, 2, self._rows[image_id])
        )
        pixels = adjust(pixels, settings)
        return Photograph(pixels, size, size, pixels.nbytes, hashlib.sha256(pixels.tobytes()).hexdigest())

    def checksums(self) -> dict[str, str]:
        return {"phantom recipe": sha256_json(self._recipe)}
