"""Speed of preparing photographs at their original resolution, as a ratio in one run.

    python benchmarks/prepare.py FOLDER [--repeats 12]

The images of a folder (600 × 450 JPEGs, as HAM10000 is published), each taken several times, become one array of
256 px squares with all that `prepare` does for it (reading, decoding, cropping, resizing, hashes of file and pixels,
writing), against decoding the same JPEGs alone with Pillow and as many threads. Limit: 0.9 of that rate. Rounds
alternate; the median ratio counts. With preprocessing switched on the ratio is stated, without a limit.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from skinlesion.data.decode import decode, frame_of
from skinlesion.data.sources.images import ImageIndex
from skinlesion.data.store import build_images, cores
from skinlesion.params import PrepareParams

ROUNDS = 5


def decode_alone(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        np.asarray(image.convert("RGB"))


def bare_rate(images: list[bytes]) -> float:
    """Return images/s of decoding alone."""

    began = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(decode_alone, images))
    return len(images) / (time.perf_counter() - began)


def thread_milliseconds(work: Callable[[bytes], object], images: list[bytes]) -> float:
    """Return the processor time of one thread for one image, the least of three rounds."""
    times = []
    for _ in range(3):
        began = time.thread_time()
        for data in images:
            work(data)
        times.append(time.thread_time() - began)
    return 1000 * min(times) / len(images)


def prepare_rate(index: ImageIndex, ids: list[str], repeats: int, settings: PrepareParams) -> float:
    """Return images/s of everything between files and the finished array."""
    names = [f"{image_id} {turn}" for turn in range(repeats) for image_id in ids]

    def data(name: str) -> bytes:
        return index.read(name.partition(" ")[0])

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        build_images(
            Path(folder) / "images.npy",
            names,
            lambda name: decode(data(name), settings),
            lambda name: frame_of(data(name), settings.image_size),
        )
        return len(names) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("SKINLESION_SHARED_DATA", "../shared/data")) / "ham10000_originals"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    parser.add_argument("--repeats", type=int, default=12)
    arguments = parser.parse_args()
    index = ImageIndex(arguments.folder)
    ids = sorted(index._places)
    if not ids:
        raise SystemExit(f"{arguments.folder}: holds no images; name a folder of JPEGs")
    images = [index.read(image_id) for image_id in ids] * arguments.repeats

    plain = PrepareParams()

    def whole_decode(data: bytes) -> None:
        decode(data, plain)

    bare, whole = [], []
    for _ in range(ROUNDS):
        bare.append(bare_rate(images))
        whole.append(prepare_rate(index, ids, arguments.repeats, plain))
    ratio = statistics.median(w / b for w, b in zip(whole, bare, strict=True))
    print(f"{len(ids)} JPEGs, {cores()} cores, {ROUNDS} rounds; images a second")
    print(f"decoding alone          {statistics.median(bare):7.0f}")
    print(f"prepare                 {statistics.median(whole):7.0f}   ratio {ratio:.2f}  (limit at least 0.9)")
    for name, work in (("decoding alone", decode_alone), ("decode: pixels, frame, hash of the file", whole_decode)):
        print(f"one thread, {name:<40}{thread_milliseconds(work, images[: len(ids)]):5.2f} ms")
    for field, value in (("color_constancy", "shades_of_gray"), ("hair_removal", "dullrazor")):
        rate = prepare_rate(index, ids, 2, PrepareParams.model_validate({field: value}))
        print(f"prepare, {value:<14} {rate:7.0f}   ratio {rate / statistics.median(bare):.2f}")


if __name__ == "__main__":
    main()
