"""Arrays that are written through memory maps, on disk space that is theirs before the first write.

A write to a map of a sparse file on a full disk ends the process by SIGBUS, which no handler turns into a message.
"""

import errno
import math
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from skinlesion.errors import UserError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: What a file system answers that cannot allocate.
_NO_ALLOCATION = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV)


def create_array(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """Return a new .npy file as a writable memory map of zeros, its space on the disk allocated.

    Raises:
        UserError: the space is not there; nothing is left at `path` then.
    """
    needed = math.prod((np.dtype(dtype).itemsize, *shape))  # of Python's integers, which do not wrap around
    try:
        _check_free(path, needed)
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        _allocate(path)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in _NO_SPACE:
            raise
        free = shutil.disk_usage(path.parent).free
        raise UserError(
            f"{path.parent}: {needed:,} bytes are needed and {free:,} are free (or a quota or file-size limit is "
            "smaller); free space on the disk, then run the command again"
        ) from None
    return array


def _check_free(path: Path, size: int) -> None:
    """Check that the disk has room at this moment: all that can be done where no space can be allocated."""
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _allocate(path: Path) -> None:
    """Allocate a file's space, where the file system can do that."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    with path.open("r+b") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, os.fstat(stream.fileno()).st_size)
        except OSError as error:
            if error.errno not in _NO_ALLOCATION:
                raise


def keep_rows(path: Path, keep: np.ndarray, chunk: int = 256) -> None:
    """Keep only the rows of the .npy array at `path` where `keep` (N,) is true, moved together within the file."""
    whole = np.lib.format.open_memmap(path, mode="r+")
    rows = np.flatnonzero(keep)
    for start in range(0, len(rows), chunk):  # rows move towards the beginning: none is overwritten before it was read
        moved = rows[start : start + chunk]
        whole[start : start + len(moved)] = whole[moved]
    whole.flush()
    begin, dtype, shape = whole.offset, whole.dtype, (len(rows), *whole.shape[1:])
    del whole
    with path.open("r+b") as stream:
        described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, described)
        if stream.tell() != begin:  # NumPy leaves room for another number of rows
            raise RuntimeError(f"{path}: the header of {shape} has {stream.tell()} bytes, not {begin}")
        stream.truncate(begin + dtype.itemsize * math.prod(shape))
