"""Images that users give: decoded as they always were, or refused by name; never partly grey, white or black."""

import hashlib
import io
import re
import struct
import sys
import warnings
import zlib

import cv2
import numpy as np
import pandas as pd
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skinlesion.data.decode import decode, frame_of
from skinlesion.data.photographs import read_photograph
from skinlesion.errors import UserError
from skinlesion.params import PrepareParams
from tests.archive import records, write_archive
from tests.conftest import small_params, write_params
from tests.faults.harness import check_refused

SETTINGS = PrepareParams(image_size=32)
_UNREADABLE = (OSError, ValueError)


def skin(width: int = 120, height: int = 90, seed: int = 0) -> np.ndarray:
    """Return a smooth picture with a little noise, as photographs of skin are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 230, (4, 5, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def saved(pixels: np.ndarray, form: str = "JPEG", mode: str | None = None, **options) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(stream, form, **options)
    return stream.getvalue()


BLACK_BELOW = np.pad(skin(), ((0, 50), (0, 40), (0, 0)))
JPEGS = {
    "plain": saved(skin()),
    "black border": saved(BLACK_BELOW),
    "one colour": saved(np.full((90, 120, 3), 128, np.uint8)),
    "grey": saved(skin(), mode="L"),
    "cmyk": saved(skin(), mode="CMYK"),
    "restarts": saved(skin(), restart_marker_blocks=3),
    "progressive": saved(skin(), progressive=True),
    "progressive border": saved(BLACK_BELOW, progressive=True),
    "full colour resolution": saved(BLACK_BELOW, subsampling=0, quality=95),
    "tiny": saved(skin(3, 2)),
    "bytes behind": saved(skin()) + b"\0" * 20,
}


@pytest.mark.parametrize("name", JPEGS)
def test_whole_jpegs_are_decoded_as_pillow_decodes_them(name):
    with Image.open(io.BytesIO(JPEGS[name])) as image:
        expected = np.asarray(image.convert("RGB"))
    side = min(expected.shape[:2])
    decoded = decode(JPEGS[name], PrepareParams(image_size=max(32, side))).pixels
    assert min(decoded.shape[:2]) == max(32, side)  # the tiny one is enlarged
    if side >= 32:
        np.testing.assert_array_equal(decoded[: len(expected)], expected[: len(decoded)])


def data_begin(data: bytes) -> int:
    return data.index(b"\xff\xda") + 14


#: Cuts fall inside a scan of a progressive file too.
DAMAGES = {
    "cut": lambda data, at: data[:at],
    "cut, end mark": lambda data, at: data[:at] + b"\xff\xd9",
    "cut, end mark and more bytes": lambda data, at: data[:at] + b"\xff\xd9\0\0",
    "part removed": lambda data, at: data[:at] + data[at + (len(data) - data_begin(data)) // 4 :],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", JPEGS)
def test_jpegs_that_lack_a_part_are_refused(name, damage):
    data = JPEGS[name].rstrip(b"\0")  # "bytes behind" is whole without them
    begin = data_begin(data)
    for part in (0.1, 0.25, 0.4, 0.5, 0.6, 0.7):
        damaged = DAMAGES[damage](data, begin + int(part * (len(data) - begin)))
        with pytest.raises(OSError, match="missing or damaged"):
            decode(damaged, SETTINGS)


@pytest.mark.parametrize("name", ["progressive", "progressive border"])
def test_progressive_jpegs_that_lack_whole_scans_are_refused(name):
    data = JPEGS[name]
    begins = [match.start() for match in re.finditer(rb"\xff[\xc4\xda]", data)]  # of tables and scans
    first_scan = data.index(b"\xff\xda")
    later = [place for place in begins if place > first_scan]
    assert len(later) > 8
    for place in later:
        with pytest.raises(OSError, match="missing or damaged"):
            decode(data[:place] + b"\xff\xd9", SETTINGS)


def with_jfif_version(data: bytes) -> bytes:
    place = data.index(b"JFIF\0") + 5
    return data[:place] + b"\x09" + data[place + 1 :]


#: libjpeg-turbo warns of these, or simplejpeg cannot read them, and nothing is missing.
ODD_BUT_WHOLE = {
    "padding before the end mark": saved(skin())[:-2] + b"\0" * 40 + b"\xff\xd9",
    "an unknown version of JFIF": with_jfif_version(saved(skin())),
    "part of a colour profile": saved(skin(), icc_profile=b"\1" * 70_000).replace(
        b"ICC_PROFILE\0\2", b"ICC_PROFILE\0\7"
    ),
}


@pytest.mark.parametrize("name", ODD_BUT_WHOLE)
def test_whole_jpegs_that_are_odd_are_decoded(name):
    with Image.open(io.BytesIO(ODD_BUT_WHOLE[name])) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode(ODD_BUT_WHOLE[name], PrepareParams(image_size=90)).pixels, expected)
    with pytest.raises(ValueError, match=r".") as refused:
        simplejpeg.decode_jpeg(ODD_BUT_WHOLE[name], strict=True)
    assert "Corrupt" in str(refused.value) or "JFIF" in str(refused.value)


def test_a_decoder_that_is_missing_is_no_fault_of_the_file(monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    with pytest.raises(ImportError):
        decode(JPEGS["plain"], SETTINGS)


def png(width: int, height: int, depth: int = 8, kind: int = 2) -> bytes:
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def animated(form: str) -> bytes:
    stream = io.BytesIO()
    frames = [Image.fromarray(skin(seed=seed)) for seed in range(3)]
    frames[0].save(stream, form, save_all=True, append_images=frames[1:])
    return stream.getvalue()


DEEP = np.linspace(0, 65535, 60 * 60).reshape(60, 60)
REFUSED = {
    "16-bit grey png": (saved(DEEP.astype(np.uint16), "PNG"), "not 8 bits"),
    "16-bit grey tiff": (saved(DEEP.astype(np.uint16), "TIFF"), "not 8 bits"),
    "32-bit tiff": (saved(DEEP.astype(np.int32), "TIFF"), "not 8 bits"),
    "float tiff": (saved((DEEP / 65535).astype(np.float32), "TIFF"), "not 8 bits"),
    "9,900 pixels a side": (png(9900, 9900), "98010000 pixels, more than"),
    "30,000 pixels a side": (png(30_000, 30_000), "900000000 pixels, more than"),
    "most of a png": (saved(skin(), "PNG")[:-200], "."),
    "a changed byte of a png": (saved(skin(), "PNG").replace(b"IDAT", b"IDAT\1", 1), "."),
    "no rows": (png(10, 0), "."),
    "no columns": (png(0, 10), "."),
    "animated png": (animated("PNG"), "several pictures"),
    "animated gif": (animated("GIF"), "several pictures"),
    "tiff of pages": (animated("TIFF"), "several pictures"),
    "nothing": (b"", "no image"),
    "text": (b"hello", "no image"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "no image"),
    "half a tiff": (saved(skin(), "TIFF")[:9000], "."),
    "half a bmp": (saved(skin(), "BMP")[:9000], "."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_photograph_is_refused_by_name(tmp_path, name):
    data, reason = REFUSED[name]
    with pytest.raises(_UNREADABLE, match=reason):
        decode(data, SETTINGS)
    (tmp_path / "p.png").write_bytes(data)
    with pytest.raises(UserError, match=r"p\.png: not a readable image"):
        read_photograph(tmp_path / "p.png", SETTINGS)


@pytest.mark.parametrize(
    ("form", "mode"),
    [("PNG", "L"), ("PNG", "LA"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "1"), ("TIFF", "CMYK"), ("BMP", "RGB"),
     ("TIFF", "RGB"), ("GIF", "P")],
)  # fmt: skip
def test_kinds_of_eight_bits_are_converted(form, mode):
    data = saved(skin(), form, mode)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode(data, PrepareParams(image_size=90)).pixels, expected)


def test_a_palette_with_transparency_has_its_colours_without_a_warning():
    data = saved(skin(), "PNG", "P", transparency=bytes(range(200)))
    opaque = saved(skin(), "PNG", "P")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = decode(data, SETTINGS).pixels
    np.testing.assert_array_equal(decoded, decode(opaque, SETTINGS).pixels)


def test_the_orientation_in_a_file_is_left_as_it_is():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(saved(skin(), exif=exif.tobytes()), SETTINGS)
    np.testing.assert_array_equal(turned.pixels, decode(saved(skin()), SETTINGS).pixels)


def check_changed(data: bytes, whole: bytes) -> None:
    """Check that a changed file is refused in one of the ways that all callers know, or decoded to a frame."""
    try:
        photo = decode(data, SETTINGS)
    except _UNREADABLE:
        return
    assert photo.pixels.dtype == np.uint8
    assert min(photo.pixels.shape[:2]) == 32
    assert photo.sha256 == hashlib.sha256(data).hexdigest()
    assert frame_of(data, 32) == photo.pixels.shape[:2]
    if whole.startswith(b"\x89PNG"):  # has checksums: what is accepted is what it was
        np.testing.assert_array_equal(photo.pixels, decode(whole, SETTINGS).pixels)


SOURCES = [*JPEGS.values(), *(saved(skin(), form) for form in ("PNG", "TIFF", "BMP", "GIF"))]


@st.composite
def changed_images(draw) -> tuple[bytes, bytes]:
    """Draw a good image and the same with bytes changed, removed, doubled or put in."""
    whole = draw(st.sampled_from(SOURCES))
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        # As often in the header as in all that follows.
        limit = draw(st.sampled_from([64, 700, len(data)]))
        place = draw(st.integers(0, max(0, min(limit, len(data)) - 1)))
        count = draw(st.sampled_from([1, 2, 4, 50, len(data) // 3]))
        kind = draw(st.sampled_from(["change", "remove", "double", "insert", "zero"]))
        part = data[place : place + count]
        if kind == "change":
            data[place : place + 1] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "remove":
            del data[place : place + count]
        elif kind == "double":
            data[place:place] = part
        elif kind == "insert":
            data[place:place] = draw(st.binary(max_size=20))
        else:
            data[place : place + count] = bytes(len(part))
    return bytes(data), whole


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=60, deadline=None)
@given(changed_images())
def test_changed_images(images):
    check_changed(*images)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=5000, deadline=None)
@given(changed_images())
def test_many_changed_images(images):
    check_changed(*images)


@pytest.fixture
def archive_of(tmp_path):
    def make(images, on_error):
        table = records(6)
        write_archive(tmp_path / "raw", table, dict(zip(table["image_id"], images, strict=True)))
        data = {"source": "ham10000", "path": "raw"}
        params = small_params(data=data, prepare={"on_error": on_error}, claims=[])
        params["data"].pop("phantom")
        write_params(tmp_path, params)
        return tmp_path

    return make


def test_a_set_of_which_every_image_is_broken_is_not_skipped_to_nothing(archive_of, run):
    folder = archive_of([b"broken"] * 6, "skip")
    check_refused(run("prepare", cwd=folder), "no usable image is left")
    assert not (folder / "data/prepared/prepared.json").exists()
    assert not list((folder / "data/prepared").iterdir())


@pytest.mark.parametrize("damage", ["half", "deep"])
def test_a_damaged_image_stops_prepare_or_is_left_out(archive_of, run, damage):
    whole = JPEGS["plain"]
    bad = whole[: len(whole) // 2] + b"\xff\xd9" if damage == "half" else REFUSED["16-bit grey png"][0]
    check_refused(run("prepare", cwd=archive_of([bad, *[whole] * 5], "stop")), "ISIC_0000000")
    folder = archive_of([bad, *[whole] * 5], "skip")
    outcome = run("prepare", cwd=folder)
    assert outcome.code == 0, outcome.err
    assert len(pd.read_csv(folder / "data/prepared/metadata.csv")) == 5
