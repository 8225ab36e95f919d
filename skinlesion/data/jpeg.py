"""JPEGs decoded by libjpeg-turbo, and refused where a part is missing: other readers fill it with grey in silence."""

import re
import struct

import numpy as np

from skinlesion.errors import one_line

#: What a JPEG of a Pillow mode is decoded to, to see whether it is whole; Pillow converts these to RGB.
_COLORS = {"L": "GRAY", "CMYK": "CMYK"}
#: What libjpeg-turbo says where data are missing or out of order. Its other warnings are about the header, or padding
#: before the end mark, as some cameras write; and simplejpeg does not know every sampling of colours.
_DAMAGED = re.compile(r"premature end|bad Huffman code|instead of RST|before marker 0xd[0-7]|progress", re.IGNORECASE)

#: From here on a scan's data end: any marker but a stuffed byte, a restart and a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_PROGRESSIVE, _SCAN, _END = 0xC2, 0xDA, 0xD9
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_COEFFICIENTS = 64  # of a block


def read_jpeg(data: bytes, mode: str) -> np.ndarray | None:
    """Return the pixels (H, W, 3) uint8 RGB of a JPEG, or None where only Pillow gives them.

    They are equal to Pillow's, which uses the same library.

    Args:
        mode: as Pillow names it.

    Raises:
        OSError: a part is missing or damaged.
    """
    import simplejpeg  # here: the phantom, which decodes nothing, runs without it

    known = _coefficients(data)
    if any(len(coefficients) < _COEFFICIENTS for coefficients in known.values()):
        raise OSError("a part of the JPEG is missing or damaged (scans)")
    colors = _COLORS.get(mode, "RGB")
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, colors, fastdct=False, fastupsample=False, strict=True)
    except ValueError as error:
        # A progressive file without a part may well be read to its end, with bytes left over.
        if _DAMAGED.search(str(error)) or (known and "extraneous" in str(error)):
            raise OSError(f"a part of the JPEG is missing or damaged ({one_line(error)})") from None
        return None
    return pixels if colors == "RGB" else None


def _coefficients(data: bytes) -> dict[int, set[int]]:
    """Return component → coefficients that the scans of a progressive JPEG give to their last bit; else nothing.

    A decoder does not warn of scans that are missing altogether.
    """
    known: dict[int, set[int]] = {}
    place = 2
    try:
        while data[place] == 0xFF and data[place + 1] != _END:
            marker = data[place + 1]
            if marker == 0xFF or marker in _WITHOUT_LENGTH:
                place += 1 if marker == 0xFF else 2
                continue
            length = struct.unpack(">H", data[place + 2 : place + 4])[0]
            body = data[place + 4 : place + 2 + length]
            place += 2 + length
            if marker == _PROGRESSIVE:
                known = {body[at]: set() for at in range(6, 6 + 3 * body[5], 3)}
            elif marker == _SCAN:
                if not known:
                    break  # of another kind
                _add_scan(body, known)
                match = _MARKER.search(data, place)
                place = match.start() if match else len(data)
    except (IndexError, struct.error):
        pass  # the end of the data
    return known


def _add_scan(header: bytes, known: dict[int, set[int]]) -> None:
    """Add the coefficients that a scan gives to their last bit."""
    count = header[0]
    first, last, bits = header[1 + 2 * count], header[2 + 2 * count], header[3 + 2 * count]
    for at in range(1, 1 + 2 * count, 2):
        if bits & 15 == 0 and header[at] in known:
            known[header[at]] |= set(range(first, min(last, _COEFFICIENTS - 1) + 1))
