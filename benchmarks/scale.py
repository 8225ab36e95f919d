"""What 400,000 images (the size of ISIC 2024) would need, from measurements at three small sizes.

    python benchmarks/scale.py [--check IMAGES] [--write]

Prints the table of docs/scale.md; with --write puts it there. About a minute and a half on one core.

1. `prepare` on JPEGs of 600 × 450 drawn by code, to 256 px: processor time and peak memory.
2. `stats` on two simulated experiments, one pair: the same. With --check also at that many images, beside
   what the line says of it (100,000: a minute more; 400,000: four).
3. Files: bytes an image, which are arithmetic.

Each measurement runs in a process of its own, on one core. The figures at 400,000 are those of the straight line
through the three sizes (least squares), unless the table says that they are measured or exact.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.special import softmax

from skinlesion.data.sources.phantom import Phantom
from skinlesion.params import Params, PrepareParams
from skinlesion.results.workspace import Workspace
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

LARGE = 400_000
SIZES = {"prepare": (500, 1_000, 2_000), "stats": (10_000, 20_000, 40_000)}
SIDE, WIDTH = 256, 1_280  # pixels of a prepared image; features of tf_efficientnet_lite0
DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"
_DRAWN = 20  # images drawn; the others are these, moved sideways
_SHARES = np.array([0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02])


def write_archive(folder: Path, images: int) -> dict[str, object]:
    """Write JPEGs and their table; return the section `data` that reads them."""
    phantom = Phantom(images, 0, 1.0)
    table = phantom.records()
    drawn = [phantom.read(key, PrepareParams(image_size=600)).pixels[:450] for key in table["image_id"][:_DRAWN]]
    for number, image_id in enumerate(table["image_id"]):
        pixels = np.roll(drawn[number % _DRAWN], number, axis=1)
        cv2.imwrite(str(folder / f"{image_id}.jpg"), pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    table.to_csv(folder / "metadata.csv", index=False)
    names = ("image_id", "lesion_id", "dx", "age", "sex", "localization")
    return {"source": "folder", "path": str(folder), "folder": {"columns": {name: name for name in names}}}


def write_predictions(folder: Path, images: int, experiments: tuple[str, ...]) -> None:
    """Write predictions of experiments on the same images, lesions of one image or two."""
    rng = np.random.default_rng(0)
    lesion = np.cumsum(rng.random(images) < 0.75)
    labels = rng.choice(len(CLASSES), lesion[-1] + 1, p=_SHARES)[lesion]
    for seed, name in enumerate(experiments, start=1):
        scores = 1.8 * np.eye(len(CLASSES))[labels] + np.random.default_rng(seed).normal(size=(images, len(CLASSES)))
        table = pd.DataFrame(softmax(scores, axis=1), columns=list(PROBABILITY_COLUMNS))
        table.insert(0, "dx", np.array(CLASSES)[labels])
        table.insert(0, "fold", lesion % 5)
        table.insert(0, "lesion_id", [f"lesion{number:07d}" for number in lesion])
        table.insert(0, "image_id", [f"image{number:07d}" for number in range(images)])
        place = Workspace(folder).results(name)
        place.mkdir(parents=True)
        table.to_csv(place / "predictions.csv", index=False, float_format="%.6f")
        # A validation part is half as large as a test part.
        table.iloc[::2].to_csv(place / "validation.csv", index=False, float_format="%.6f")


def child(stage: str, folder: Path) -> None:
    """Run a stage in `folder` on one core; print its processor seconds and the peak of its memory in bytes."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    params = Params.model_validate_json((folder / "params.json").read_text())
    run: Callable[[Params, Workspace], object]
    if stage == "prepare":
        from skinlesion.stages.prepare import prepare as run
    else:
        from skinlesion.stages.stats import stats as run
    ended = threading.Event()
    peaks = [0]
    watch = threading.Thread(target=_watch_memory, args=(peaks, ended))
    watch.start()
    began = time.process_time()  # not the clock's: other programs may share the core
    run(params, Workspace(folder))
    seconds = time.process_time() - began
    ended.set()
    watch.join()
    print(json.dumps({"seconds": seconds, "peak": peaks[0]}))


def _watch_memory(peaks: list[int], ended: threading.Event) -> None:
    """Keep the peak of this process's memory in peaks[0], without the pages of mapped files.

    The kernel takes those back when it wants to, and images.npy is one: it may be larger than the memory.
    """
    while not ended.wait(0.02):
        status = Path("/proc/self/status").read_text()
        peaks[0] = max(peaks[0], int(status.partition("RssAnon:")[2].split()[0]) * 1024)


def measure(stage: str, images: int) -> dict[str, float]:
    """Return seconds and peak bytes of a stage on so many images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content: dict[str, object] = {"experiments": {"a": {}, "b": {}}}
        if stage == "prepare":
            (folder / "raw").mkdir()
            content["data"] = write_archive(folder / "raw", images)
        else:
            write_predictions(folder, images, ("a", "b"))
        (folder / "params.json").write_text(json.dumps(content))
        command = [sys.executable, "-W", "ignore", __file__, "--child", stage, name]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        print(f"{stage}, {images:,} images: {measured}", file=sys.stderr)
        return measured


def line_at(sizes: tuple[int, ...], values: list[float], size: int) -> float:
    """Return the value at `size` of the straight line through the measurements."""
    slope, start = np.polyfit(sizes, values, 1)
    return float(start + slope * size)


def words(quantity: str, value: float) -> str:
    """Return seconds or bytes in readable units."""
    if quantity == "seconds":
        return f"{value / 60:.0f} min" if value >= 300 else f"{value:.1f} s"
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def table(check: int | None) -> str:
    """Measure all, and return the tables as Markdown."""
    lines = []
    for stage, sizes in SIZES.items():
        measured = [measure(stage, size) for size in sizes]
        checked = measure(stage, check) if check and stage == "stats" else None
        heads = [*(f"{size:,}, measured" for size in sizes), f"{LARGE:,}, extrapolated"]
        heads += [f"{check:,}, extrapolated", f"{check:,}, measured"] if checked else []
        lines += [f"| `{stage}`, images | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
        for quantity, title in (("seconds", "processor time"), ("peak", "peak memory, without mapped files")):
            values = [measurement[quantity] for measurement in measured]
            cells = [*values, line_at(sizes, values, LARGE)]
            cells += [line_at(sizes, values, check), checked[quantity]] if check and checked else []
            lines.append(f"| {title} | {' | '.join(words(quantity, value) for value in cells)} |")
        lines.append("")
    image, features = 3 * SIDE**2, 4 * WIDTH
    lines += [f"| file, exact | bytes an image | {LARGE:,} images |", "|---|---|---|"]
    for name, size in ((f"`images.npy`, {SIDE} px", image), (f"feature cache, {WIDTH:,} features", features)):
        lines.append(f"| {name} | {size:,} | {words('bytes', size * LARGE)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=int, metavar="IMAGES", help="Run stats on that many images too.")
    parser.add_argument("--write", action="store_true", help="Put the table into docs/scale.md.")
    parser.add_argument("--child", nargs=2, metavar=("STAGE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], Path(arguments.child[1]))
        return
    text = table(arguments.check)
    print(text)
    if arguments.write:
        before, begin, rest = DOCUMENT.read_text().partition("<!-- scale:begin -->\n")
        after = rest.partition("<!-- scale:end -->")[2]
        command = f"python benchmarks/scale.py{f' --check {arguments.check}' if arguments.check else ''} --write"
        written = f"Written by `{command}`, one core:\n\n{text}\n"
        DOCUMENT.write_text(f"{before}{begin}{written}<!-- scale:end -->{after}")


if __name__ == "__main__":
    main()
