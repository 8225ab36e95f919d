"""Whole JPEGs told from damaged ones: decoders fill what is missing with grey and say nothing."""

import io
import re
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

#: From here on a scan's data end: any marker but a stuffed byte, a restart and a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")

_BASELINE, _PROGRESSIVE = (0xC0, 0xC1), (0xC2,)
_SCAN, _INTERVAL, _END = 0xDA, 0xDD, 0xD9
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_BLOCK = 8  # pixels
_LAST_BIT_OF = 64  # coefficients

#: Put where the data of a scan end, they make up for a few bits at most; what a whole scan needs beyond is missing.
_PADDING = b"\x00" * 16


@dataclass(frozen=True)
class _Layout:
    """What the segments of a JPEG say."""

    frame: int  # the marker of its kind
    width: int
    height: int
    components: dict[int, tuple[int, int]]  # id → sampling across and down
    interval: int  # units between restarts, 0 without
    scans: list[tuple[bytes, int, int]]  # header, and where its data begin and end


def check_jpeg(data: bytes, pixels: np.ndarray) -> None:
    """Check that a JPEG holds all the data that its pixels (H, W, 3) need.

    A decoder leaves what it has no data for in uniform grey, up to the last block. So the data are counted only where
    that block is uniform, or restarts say how many there are; a good photograph costs nothing.

    Raises:
        OSError: a part is missing.
    """
    height, width = pixels.shape[:2]
    last = pixels[(height - 1) // _BLOCK * _BLOCK :, (width - 1) // _BLOCK * _BLOCK :]
    uniform = bool((last == last[-1, -1]).all())
    if not uniform and b"\xff\xdd" not in data and b"\xff\xc2" not in data:
        return
    layout = _layout(data)
    if layout is None:
        return
    if layout.frame in _PROGRESSIVE:
        whole = _scans_complete(layout)
    elif layout.frame in _BASELINE and len(layout.scans) == 1:
        whole = _restarts_complete(layout, data) and (not uniform or _data_suffice(layout, data))
    else:
        return
    if not whole:
        raise OSError("a part of the JPEG is missing")


def _layout(data: bytes) -> _Layout | None:
    """Return what the segments say; None where they cannot be followed."""
    frame = width = height = interval = 0
    components: dict[int, tuple[int, int]] = {}
    scans: list[tuple[bytes, int, int]] = []
    place = 2
    try:
        while data[place] == 0xFF:
            marker = data[place + 1]
            if marker == 0xFF or marker in _WITHOUT_LENGTH:
                place += 1 if marker == 0xFF else 2
                continue
            if marker == _END:
                break
            length = struct.unpack(">H", data[place + 2 : place + 4])[0]
            body = data[place + 4 : place + 2 + length]
            place += 2 + length
            if marker in (*_BASELINE, *_PROGRESSIVE):
                frame = marker
                height, width = struct.unpack(">HH", body[1:5])
                components = {body[at]: (body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, 6 + 3 * body[5], 3)}
            elif marker == _INTERVAL:
                interval = struct.unpack(">H", body[:2])[0]
            elif marker == _SCAN:
                match = _MARKER.search(data, place)
                end = match.start() if match else len(data)
                scans.append((body, place, end))
                place = end
    except (IndexError, struct.error):
        pass  # the end of the data
    return _Layout(frame, width, height, components, interval, scans) if frame and scans else None


def _scans_complete(layout: _Layout) -> bool:
    """Return whether the scans of a progressive JPEG give every coefficient of every component to its last bit."""
    known: dict[int, set[int]] = {name: set() for name in layout.components}
    for header, _, _ in layout.scans:
        count = header[0]
        first, last, bits = header[1 + 2 * count], header[2 + 2 * count], header[3 + 2 * count]
        for at in range(1, 1 + 2 * count, 2):
            if bits & 15 == 0 and header[at] in known:
                known[header[at]] |= set(range(first, last + 1))
    return all(len(coefficients) >= _LAST_BIT_OF for coefficients in known.values())


def _restarts_complete(layout: _Layout, data: bytes) -> bool:
    """Return whether there are as many restarts as the size asks for, in their order."""
    if not layout.interval:
        return True
    across, down = (max(sampling[axis] for sampling in layout.components.values()) for axis in (0, 1))
    if len(layout.components) == 1:
        across = down = 1
    units = -(-layout.width // (_BLOCK * across)) * -(-layout.height // (_BLOCK * down))
    _, begin, end = layout.scans[0]
    restarts = [match[1][0] - 0xD0 for match in _RESTART.finditer(data, begin, end)]
    expected = -(-units // layout.interval) - 1
    # Some encoders end the last interval with a restart too.
    return len(restarts) in (expected, expected + 1) and restarts == [number % 8 for number in range(len(restarts))]


def _data_suffice(layout: _Layout, data: bytes) -> bool:
    """Return whether decoding comes to its end with a little padding in the place of the end marker.

    Without a marker the decoder waits for more data, which Pillow reports. At an eighth of the size nothing but the
    data are decoded.
    """
    _, _, end = layout.scans[0]
    with Image.open(io.BytesIO(data[:end] + _PADDING), formats=["JPEG"]) as image:
        image.draft(image.mode, (max(1, image.width // _BLOCK), max(1, image.height // _BLOCK)))
        try:
            image.load()
        except OSError:
            return False
    return True
