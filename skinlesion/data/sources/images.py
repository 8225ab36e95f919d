"""Index of a data set's image files by id, in folders or inside zips."""

import hashlib
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skinlesion.errors import UserError
from skinlesion.files import sha256_file

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})

#: Limits on the contents of a zip: beyond them it is a zip bomb, or no data set of photographs.
MOST_MEMBERS = 200_000
MOST_BYTES = 200_000_000  # of one image, unpacked

_DEEPEST = 4  # folders below the root that are searched


@dataclass(frozen=True)
class _Place:
    """The location of an image: a file, or a member of a zip."""

    path: Path
    member: str | None
    size: int


class ImageIndex:
    """The images below a folder by id, by default the file name without its suffix.

    Members of zips are read into memory, never unpacked: their names never reach the file system.
    """

    def __init__(
        self,
        folder: Path,
        name_of: Callable[[str], str | None] = lambda name: Path(name).stem,
        takes_zip: Callable[[Path], bool] = lambda path: True,
    ) -> None:
        self._name_of = name_of
        self._zips: dict[Path, zipfile.ZipFile] = {}
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        #: Ids found in several places with different content.
        self.conflicting: set[str] = set()
        for path in files_below(folder):
            if path.suffix.lower() == ".zip":
                if takes_zip(path):
                    self._add_zip(path)
            elif path.suffix.lower() in SUFFIXES:
                self._place(str(path.relative_to(folder)), _Place(path, None, path.stat().st_size))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._places

    def read(self, image_id: str) -> bytes:
        """Return an image's bytes.

        Raises:
            ValueError: it lies in several places with different content.
            OSError: it cannot be read.
        """
        if image_id in self.conflicting:
            raise ValueError("lies in several places with different content")
        place = self._places[image_id]
        if place.member is None:
            return place.path.read_bytes()
        try:
            return self._zip(place.path).read(place.member)
        except zipfile.BadZipFile as error:  # the member's checksum is wrong
            raise OSError(str(error)) from None

    def checksums(self) -> dict[str, str]:
        """Return the SHA-256 of each zip, and one of all other image files together."""
        sums = {path.name: sha256_file(path) for path in sorted(self._zips)}
        loose = sorted(name for name, place in self._places.items() if place.member is None)
        if loose:
            digest = hashlib.sha256()
            for name in loose:
                digest.update(f"{name} {sha256_file(self._places[name].path)}\n".encode())
            sums[f"{len(loose)} image files"] = digest.hexdigest()
        return sums

    def _add_zip(self, path: Path) -> None:
        members = self._zip(path).infolist()
        if len(members) > MOST_MEMBERS:
            raise UserError(f"{path}: holds {len(members):,} files, more than {MOST_MEMBERS:,}; give the images alone")
        for info in members:
            name = Path(info.filename)
            if name.suffix.lower() not in SUFFIXES or "__MACOSX" in name.parts or name.name.startswith("._"):
                continue
            if info.file_size > MOST_BYTES:
                raise UserError(f"{path}: {info.filename} unpacks to {info.file_size:,} bytes; that is no photograph")
            self._place(info.filename, _Place(path, info.filename, info.file_size))

    def _place(self, name: str, place: _Place) -> None:
        image_id = self._name_of(name)
        if image_id is None:
            return
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


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below `folder` in a fixed order, following links, as deep as any known layout."""
    for name, folders, files in os.walk(folder, followlinks=True):
        here = Path(name)
        # Capitals sort first: Kaggle's `HAM10000_images_part_1` before its byte-identical `ham10000_…` twin.
        folders[:] = sorted(folders) if len(here.relative_to(folder).parts) < _DEEPEST else []
        yield from (here / file for file in sorted(files))
