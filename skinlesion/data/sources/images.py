"""Index of a data set's image files by id, in folders or inside zips."""

import hashlib
import lzma
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skinlesion.errors import UserError
from skinlesion.files import sha256_file
from skinlesion.reading import check_readable, shown_problem

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})

#: Limits on the contents of a zip: beyond them it is a zip bomb, or no data set of photographs.
MOST_MEMBERS = 200_000
MOST_BYTES = 200_000_000  # of one image, unpacked

_DEEPEST = 4  # folders below the root that are searched

_CONFLICT = "lies in several places with different content"

#: What zipfile and the decompressors raise for a damaged zip. NotImplementedError (of an unknown method or version) is
#: a RuntimeError, as is what an encrypted member raises.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, MemoryError, OSError, OverflowError,
    RuntimeError, ValueError,
)  # fmt: skip
_ENCRYPTED = 0x1  # bit of a member's flags


@dataclass(frozen=True)
class _Place:
    """The location of an image: a file, or a member of a zip."""

    path: Path
    member: zipfile.ZipInfo | None
    size: int  # as the zip's directory states it

    def differs(self, other: "_Place") -> bool | None:
        """Return whether the content is another; None where that is not known without reading."""
        if self.size != other.size:
            return True
        if self.member is not None and other.member is not None:
            return self.member.CRC != other.member.CRC
        return None


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
        self._places: dict[str, list[_Place]] = {}
        #: Ids found in several places with different content, as far as that is known before they are read.
        self.conflicting: set[str] = set()
        for path in files_below(folder):
            if path.suffix.lower() == ".zip":
                if takes_zip(path):
                    self._add_zip(path)
            elif path.suffix.lower() in SUFFIXES:
                self._place(str(path.relative_to(folder)), _Place(path, None, _size(path)))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._places

    def read(self, image_id: str) -> bytes:
        """Return an image's bytes.

        Raises:
            ValueError: it lies in several places with different content.
            OSError: it cannot be read, or is larger than MOST_BYTES or than its zip says.
        """
        first, *others = self._places[image_id]
        if image_id in self.conflicting:
            raise ValueError(_CONFLICT)
        data = self._read(first)
        for other in others:
            if first.differs(other) is None and self._read(other) != data:
                raise ValueError(_CONFLICT)
        return data

    def _read(self, place: _Place) -> bytes:
        if place.member is None:
            if not place.path.is_file():
                raise OSError("a broken link, pipe or device instead of a file")
            if place.size > MOST_BYTES:
                raise OSError(f"has more than {MOST_BYTES / 1e6:.0f} MB")
            return place.path.read_bytes()
        if place.member.flag_bits & _ENCRYPTED:
            raise OSError("encrypted in its zip")
        try:
            # A member may inflate to far more than it claims: no more than that is unpacked.
            with self._zip(place.path).open(place.member) as stream:
                data = stream.read(place.size + 1)
        except NotImplementedError:
            raise OSError("packed into its zip by a method that is not supported") from None
        except _DAMAGED:
            raise OSError("damaged in its zip") from None
        if len(data) != place.size:
            raise OSError("damaged in its zip")
        return data

    def checksums(self) -> dict[str, str]:
        """Return the SHA-256 of each zip, and one of all other image files together."""
        sums = {path.name: sha256_file(path) for path in sorted(self._zips)}
        loose = sorted(name for name, places in self._places.items() if places[0].member is None)
        if loose:
            digest = hashlib.sha256()
            for name in loose:
                path = self._places[name][0].path
                content = sha256_file(path) if path.is_file() else "no file"
                digest.update(f"{name} {content}\n".encode(errors="surrogateescape"))  # names may not be UTF-8
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
            self._place(info.filename, _Place(path, info, info.file_size))

    def _place(self, name: str, place: _Place) -> None:
        image_id = self._name_of(name)
        if image_id is None:
            return
        places = self._places.setdefault(image_id, [])
        if places and places[0].differs(place):
            self.conflicting.add(image_id)
        places.append(place)

    def _zip(self, path: Path) -> zipfile.ZipFile:
        with self._lock:
            if path not in self._zips:
                check_readable(path, "download it again")
                try:
                    self._zips[path] = zipfile.ZipFile(path)
                except _DAMAGED as error:
                    reason = shown_problem(error)
                    raise UserError(f"{path}: not a readable zip ({reason}); download it again") from None
            return self._zips[path]


def _size(path: Path) -> int:
    """Return a file's size; 0 of what is no file, which is refused when it is read."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below `folder` in a fixed order, following links, as deep as any known layout."""
    for name, folders, files in os.walk(folder, followlinks=True):
        here = Path(name)
        # Capitals sort first: Kaggle's `HAM10000_images_part_1` before its byte-identical `ham10000_…` twin.
        folders[:] = sorted(folders) if len(here.relative_to(folder).parts) < _DEEPEST else []
        yield from (here / file for file in sorted(files))
