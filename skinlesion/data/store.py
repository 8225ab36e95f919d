"""The prepared images on disk: one uint8 array whose row i belongs to row i of the metadata table."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NotRequired

import numpy as np
import pandas as pd
import pydantic
from typing_extensions import TypedDict

from skinlesion.data.array_files import create_array
from skinlesion.data.frames import SquareImages, frame_sizes
from skinlesion.errors import UserError
from skinlesion.progress import progress
from skinlesion.reading import open_array, read_csv, read_json
from skinlesion.vocabulary import CLASSES

if TYPE_CHECKING:
    from skinlesion.data.decode import Photograph

IMAGES_NAME = "images.npy"
#: Table of the image files (FILE_COLUMNS), row i belonging to row i of the metadata table.
FILES_NAME = "files.csv"
FILE_COLUMNS = ("image_id", "width", "height", "bytes", "sha256", "pixels_sha256")
#: A further column of it: the place of an image in the source's own table, in whose order published splits are drawn.
SOURCE_ROW = "source_row"
#: Source, checksums, counts and findings; written last, so its presence means that the folder is complete.
PREPARED_NAME = "prepared.json"
#: What decoders raise; Pillow raises SyntaxError on broken headers.
_UNREADABLE = (OSError, ValueError, SyntaxError)
_REMEDY = "run `skinlesion prepare` again"
_LARGEST_SIDE = 1 << 20  # pixels of a photograph
_CHUNK = 256  # images in progress: bounds memory and moves the progress bar


def cores() -> int:
    """Return the number of CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Built:
    """The result of `build_images`."""

    files: pd.DataFrame  # FILE_COLUMNS, one row per image that could be read
    failed: dict[str, str]  # image_id → reason, for the other images
    sha256: str  # of the array, as hash_images computes it


def build_images(
    path: Path,
    image_ids: Sequence[str],
    read: "Callable[[str], Photograph]",
    frame: Callable[[str], tuple[int, int]],
) -> Built:
    """Write the images of `image_ids` to `path` as one (N, H, W, 3) uint8 .npy, decoding each once.

    H and W are those of the first frame. Where another one is larger, all headers are read and the array is begun
    again with the largest height and width; smaller frames lie at the top left.

    Images are decoded in threads (simplejpeg, Pillow, OpenCV and NumPy release the interpreter lock). The row of an
    image that `read` cannot decode stays black.

    Args:
        frame: height and width of an image's frame; raises what `read` raises.

    Raises:
        UserError: the disk has no room for the array.
    """
    first = (size for size in (_size(frame, image_id) for image_id in image_ids) if size is not None)
    try:
        return _build(path, image_ids, read, next(first, (1, 1)))
    except _LargerError:
        sizes = [size for size in (_size(frame, image_id) for image_id in image_ids) if size is not None]
        return _build(path, image_ids, read, (max(size[0] for size in sizes), max(size[1] for size in sizes)))


class _LargerError(Exception):
    """A frame that does not fit onto the canvas."""


def _size(frame: Callable[[str], tuple[int, int]], image_id: str) -> tuple[int, int] | None:
    try:
        return frame(image_id)
    except _UNREADABLE:
        return None


def _build(path: Path, image_ids: Sequence[str], read: "Callable[[str], Photograph]", canvas: tuple[int, int]) -> Built:
    array = create_array(path, np.uint8, (len(image_ids), *canvas, 3))
    failed: dict[str, str] = {}
    files: dict[str, tuple[Any, ...]] = {}
    digest = _digest(array)

    def build_row(row: int) -> None:
        try:
            photo = read(image_ids[row])
            height, width = photo.pixels.shape[:2]
            if height > canvas[0] or width > canvas[1]:
                raise _LargerError
            array[row, :height, :width] = photo.pixels
            pixels = hashlib.sha256(np.ascontiguousarray(photo.pixels).data).hexdigest()
            files[image_ids[row]] = (photo.width, photo.height, photo.bytes, photo.sha256, pixels)
        except _UNREADABLE as error:
            failed[image_ids[row]] = str(error) or type(error).__name__

    # One thread hashes the whole array, a chunk behind the decoders: a hash needs the chunks in order.
    with (
        progress("Reading images", len(image_ids)) as advance,
        _one_opencv_thread(),
        ThreadPoolExecutor(cores()) as pool,
        ThreadPoolExecutor(1) as hasher,
    ):
        for start in range(0, len(image_ids), _CHUNK):
            chunk = range(start, min(start + _CHUNK, len(image_ids)))
            list(pool.map(build_row, chunk))
            hasher.submit(digest.update, array[start : chunk.stop].data)
            advance(len(chunk))
    # Not flushed: the next reader finds the pages in memory, and waiting for the disk takes as long as decoding.
    rows = [(image_id, *files[image_id]) for image_id in image_ids if image_id in files]
    table = pd.DataFrame(rows, columns=list(FILE_COLUMNS))
    in_order = {image_id: failed[image_id] for image_id in image_ids if image_id in failed}
    return Built(table, in_order, digest.hexdigest())


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Let OpenCV use one thread per image while images are processed in parallel threads."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def hash_images(path: Path) -> str:
    """Return the SHA-256 of the array's shape and pixels, independent of the .npy header's padding."""
    array = np.load(path, mmap_mode="r")
    digest = _digest(array)
    for start in range(0, len(array), _CHUNK):
        digest.update(array[start : start + _CHUNK])
    return digest.hexdigest()


def _digest(array: np.ndarray) -> "hashlib._Hash":
    return hashlib.sha256(str(array.shape).encode())


def open_images(path: Path) -> np.ndarray:
    """Return the prepared frames as a read-only memory map (N, H, W, 3) uint8.

    Raises:
        UserError: the file is missing, cut off, or holds anything else.
    """
    array = open_array(path, "run `skinlesion prepare` first")
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8:
        raise UserError(
            f"{path}: holds {array.dtype} {array.shape}, not uint8 (N, H, W, 3); run `skinlesion prepare` again"
        )
    return array


def _has_all_classes(counts: dict[str, int]) -> dict[str, int]:
    missing = [dx for dx in CLASSES if dx not in counts]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    return counts


_Count = Annotated[int, pydantic.Field(ge=0)]


class Prepared(TypedDict):
    """prepared.json: what `prepare` says of the data set; `stages.prepare` writes it."""

    source: str
    synthetic: bool
    attribution: str
    checksums: dict[str, str]
    image_size: Annotated[int, pydantic.Field(ge=1)]
    adjusted: NotRequired[list[str]]
    images: Annotated[int, pydantic.Field(ge=1)]
    lesions: _Count
    images_by_class: Annotated[dict[str, _Count], pydantic.AfterValidator(_has_all_classes)]
    dropped: NotRequired[dict[str, int]]
    rejected: dict[str, list[str]]
    joined_pairs: NotRequired[int]
    images_sha256: str


def read_prepared(prepared: Path) -> Prepared:
    """Return the prepared.json of a folder.

    Raises:
        UserError: it is missing or damaged.
    """
    content: Prepared = read_json(prepared / PREPARED_NAME, "run `skinlesion prepare` first", Prepared)
    return content


def read_files(path: Path) -> pd.DataFrame:
    """Return the table of FILE_COLUMNS and SOURCE_ROW that `prepare` wrote.

    Raises:
        UserError: the file is missing, lacks a column, or holds a size or a place that is none.
    """
    text = dict.fromkeys(("image_id", "sha256", "pixels_sha256"), str)
    numbers = ("width", "height", "bytes", SOURCE_ROW)
    table = read_csv(path, (*FILE_COLUMNS, SOURCE_ROW), _REMEDY, dtype=text, keep_default_na=False, numbers=numbers)
    sizes = table[["width", "height"]]
    if not ((sizes >= 1) & (sizes == sizes.round()) & (sizes <= _LARGEST_SIDE)).all(axis=None):
        raise UserError(f"{path}: a width or height that is none; {_REMEDY}")
    places = table[SOURCE_ROW]
    if places.duplicated().any() or not ((places >= 0) & (places == places.round())).all():
        raise UserError(f"{path}: {SOURCE_ROW} is not a place of its own for each image; {_REMEDY}")
    return table


def open_squares(prepared: Path, how: str, side: int | None = None) -> np.ndarray | SquareImages:
    """Return the prepared images of a folder as squares (N, S, S, 3) uint8.

    Args:
        how, side: those of `frames.to_square`; frames that are square are left as they are.

    Raises:
        UserError: a file is missing, holds anything else, or does not fit the others.
    """
    frames, described = open_images(prepared / IMAGES_NAME), read_prepared(prepared)
    if len(frames) != described["images"]:
        raise UserError(
            f"{prepared}: {IMAGES_NAME} holds {len(frames):,} images, {PREPARED_NAME} names {described['images']:,}; "
            f"{_REMEDY}"
        )
    short = described["image_size"]
    if frames.shape[1] == frames.shape[2] == short:
        return frames
    sizes = frame_sizes(read_files(prepared / FILES_NAME), short)
    if len(sizes) != len(frames):
        raise UserError(f"{prepared}: {IMAGES_NAME} and {FILES_NAME} differ in length; {_REMEDY}")
    if (sizes > frames.shape[1:3]).any():
        raise UserError(f"{prepared}: {FILES_NAME} names sizes that {IMAGES_NAME} cannot hold; {_REMEDY}")
    return SquareImages(frames, sizes, how, side)


def check_same_images(prepared: Path, table: pd.DataFrame, files: pd.DataFrame) -> None:
    """Check that the metadata table and the table of files of a folder name the same images in the same order.

    Raises:
        UserError: they do not.
    """
    if list(table["image_id"]) != list(files["image_id"]):
        raise UserError(f"{prepared}: the metadata table and {FILES_NAME} list other images; {_REMEDY}")
