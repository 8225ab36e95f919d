"""The prepared images: one uint8 array on disk, row i of it being row i of the metadata table."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.files import read_csv
from skinlesion.progress import progress

if TYPE_CHECKING:
    from skinlesion.data.decode import Photograph

IMAGES_NAME = "images.npy"
#: What each image's file is like: columns FILE_COLUMNS, row i of it being row i of the metadata table.
FILES_NAME = "files.csv"
FILE_COLUMNS = ("image_id", "width", "height", "bytes", "sha256", "pixels_sha256")
#: Source, checksums, counts and findings; written last, so its presence says the folder is whole.
PREPARED_NAME = "prepared.json"
_CHUNK = 256  # images in flight: bounds memory and keeps the progress bar alive


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Built:
    """What became of the images that were read."""

    files: pd.DataFrame  # FILE_COLUMNS, one row an image that could be read
    failed: dict[str, str]  # image_id → reason, for the others
    sha256: str  # as hash_images gives it, of the array as it was written


def build_images(path: Path, image_ids: Sequence[str], read: "Callable[[str], Photograph]", size: int) -> Built:
    """Write the images of `image_ids` to `path` as one (N, size, size, 3) uint8 .npy, decoding each once.

    Threads decode (OpenCV, Pillow and NumPy release the lock). Images that `read` cannot deliver keep a black row.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(image_ids), size, size, 3))
    failed: dict[str, str] = {}
    files: dict[str, tuple[Any, ...]] = {}
    digest = _digest(array)

    def one(row: int) -> None:
        try:
            photo = read(image_ids[row])
            array[row] = photo.pixels
            pixels = hashlib.sha256(np.ascontiguousarray(photo.pixels).data).hexdigest()
            files[image_ids[row]] = (photo.width, photo.height, photo.bytes, photo.sha256, pixels)
        except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError on broken headers
            failed[image_ids[row]] = str(error) or type(error).__name__

    # The hash of the whole follows one chunk behind, in a thread of its own: chunks must come in order.
    with (
        progress("Reading images", len(image_ids)) as advance,
        _one_opencv_thread(),
        ThreadPoolExecutor(cores()) as pool,
        ThreadPoolExecutor(1) as hasher,
    ):
        for start in range(0, len(image_ids), _CHUNK):
            chunk = range(start, min(start + _CHUNK, len(image_ids)))
            list(pool.map(one, chunk))
            hasher.submit(digest.update, array[start : chunk.stop].data)
            advance(len(chunk))
    # Not flushed: whoever reads next finds the pages in memory, and waiting for the disk takes as long as decoding.
    rows = [(image_id, *files[image_id]) for image_id in image_ids if image_id in files]
    table = pd.DataFrame(rows, columns=list(FILE_COLUMNS))
    return Built(table, {one: failed[one] for one in image_ids if one in failed}, digest.hexdigest())


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV from dividing each image among threads while images are divided among them."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def keep_rows(path: Path, keep: np.ndarray) -> None:
    """Rewrite the array at `path` with only the rows where `keep` (N,) is true."""
    whole = np.load(path, mmap_mode="r")
    shorter = path.with_name(path.name + ".kept")
    rows = np.flatnonzero(keep)
    array = np.lib.format.open_memmap(shorter, mode="w+", dtype=np.uint8, shape=(len(rows), *whole.shape[1:]))
    for start in range(0, len(rows), _CHUNK):
        array[start : start + _CHUNK] = whole[rows[start : start + _CHUNK]]
    array.flush()
    os.replace(shorter, path)


def hash_images(path: Path) -> str:
    """Return the SHA-256 of the pixels and their shape; the .npy header's padding does not count."""
    array = np.load(path, mmap_mode="r")
    digest = _digest(array)
    for start in range(0, len(array), _CHUNK):
        digest.update(array[start : start + _CHUNK])
    return digest.hexdigest()


def _digest(array: np.ndarray) -> "hashlib._Hash":
    return hashlib.sha256(str(array.shape).encode())


def open_images(path: Path) -> np.ndarray:
    """Return the prepared images as a read-only memory map (N, S, S, 3) uint8.

    Raises:
        UserError: the file is missing or is not such an array.
    """
    try:
        array = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `skinlesion prepare` first") from None
    except ValueError:
        raise UserError(f"{path}: not a .npy array; run `skinlesion prepare` again") from None
    if array.ndim != 4 or array.shape[1] != array.shape[2] or array.shape[3] != 3 or array.dtype != np.uint8:
        raise UserError(
            f"{path}: holds {array.dtype} {array.shape}, not uint8 (N, S, S, 3); run `skinlesion prepare` again"
        )
    return array


def read_files(path: Path) -> pd.DataFrame:
    """Return the table of FILE_COLUMNS that `prepare` wrote.

    Raises:
        UserError: the file is missing or lacks a column.
    """
    return read_csv(path, FILE_COLUMNS, "run `skinlesion prepare` again", dtype={"image_id": str})
