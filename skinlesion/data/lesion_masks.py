"""Lesion masks of an image archive, cropped in the same way as the photographs."""

from pathlib import Path

import cv2
import numpy as np

from skinlesion.data.frames import resize, to_square
from skinlesion.data.sources.images import ImageIndex
from skinlesion.errors import UserError
from skinlesion.reading import shown_problem

_ENDING = "_segmentation"


class LesionMasks:
    """The masks `<image_id>_segmentation` below a folder or in its archives."""

    def __init__(self, archive: Path, square: str) -> None:
        """Index a folder; `square` is how the experiment makes frames square, as in `frames.to_square`."""
        self._files = ImageIndex(archive, _image_id, lambda path: "segmentation" in path.name.lower())
        self._square = square

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._files

    def read(self, image_id: str, side: int) -> np.ndarray:
        """Return the mask (side, side) bool of an image, true inside the lesion.

        Raises:
            UserError: the file is not a readable image.
        """
        try:
            frame = cv2.imdecode(np.frombuffer(self._files.read(image_id), np.uint8), cv2.IMREAD_GRAYSCALE)
        except (OSError, ValueError) as error:
            raise UserError(f"mask of {image_id}: {shown_problem(error)}; fetch the masks again") from None
        except cv2.error:  # of an empty file, or of more pixels than OpenCV takes
            frame = None
        if frame is None:
            raise UserError(f"mask of {image_id}: not a readable image; fetch the masks again")
        square = to_square(np.repeat(frame[..., None], 3, axis=2), self._square, side)
        square = resize(square, side, side)
        return np.asarray(square[..., 0] > 127)


def _image_id(name: str) -> str | None:
    stem = Path(name).stem
    return stem.removesuffix(_ENDING) if stem.endswith(_ENDING) else None
