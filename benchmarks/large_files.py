"""Memory and time of the commands on prediction files of 400,000 images, the size of ISIC 2024.

    python benchmarks/large_files.py [--images 400000] [--write]      # --write: large_files.md

Lesions have one image or two; the models are simulated. Limits stand beside: of processor time, all threads together,
and of peak memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

PAGE = Path(__file__).with_suffix(".md")
_SHARES = np.array([0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02])
_MEASURED = """
import json, resource, sys
from skinlesion import cli
sys.argv = ["skinlesion", *sys.argv[1:], "--json"]
try:
    cli.main()
except SystemExit as ended:
    assert not ended.code
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6]), file=sys.stderr)
"""

#: Command → the most seconds of processor time and GB of memory at 400,000 images.
COMMANDS: dict[str, tuple[list[str], float, float]] = {
    "compare": (["compare", "a.csv", "b.csv"], 60, 2),
    "score": (["score", "a.csv"], 60, 2),
    "score --validation": (["score", "a.csv", "--validation", "b.csv"], 120, 3),
}


def write(path: Path, images: int, seed: int) -> None:
    """Write predictions whose labels and lesions do not depend on the seed."""
    rng = np.random.default_rng(0)
    lesion = np.cumsum(rng.random(images) < 0.75)
    labels = rng.choice(len(CLASSES), lesion[-1] + 1, p=_SHARES)[lesion]
    scores = 1.8 * np.eye(len(CLASSES))[labels] + np.random.default_rng(seed).normal(size=(images, len(CLASSES)))
    table = pd.DataFrame({
        "image_id": [f"image{number:07d}" for number in range(images)],
        "lesion_id": [f"lesion{number:07d}" for number in lesion],
        "dx": np.array(CLASSES)[labels],
    })  # fmt: skip
    table[list(PROBABILITY_COLUMNS)] = softmax(scores, axis=1)
    table.to_csv(path, index=False, float_format="%.6f")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=400_000)
    parser.add_argument("--write", action="store_true", help="Write large_files.md.")
    options = parser.parse_args()
    images = options.images
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, name in enumerate(("a", "b"), start=1):
            write(Path(folder) / f"{name}.csv", images, seed)
        for name, (command, most_seconds, most_memory) in COMMANDS.items():
            finished = subprocess.run(
                [sys.executable, "-c", _MEASURED, *command], cwd=folder, capture_output=True, text=True, check=True
            )
            seconds, memory = json.loads(finished.stderr.splitlines()[-1])
            print(
                f"{name:20} {images:,} images: {seconds:4.0f} s of processor time (limit {most_seconds:g}), "
                f"{memory:.2f} GB (limit {most_memory:g})"
            )
            rows.append(f"| `{name}` | {seconds:.0f} s | {most_seconds:g} s | {memory:.2f} GB | {most_memory:g} GB |")
    if options.write:
        PAGE.write_text("\n".join([
            "# Prediction files of many images",
            "",
            f"Written by `python benchmarks/large_files.py --images {images} --write` on {os.cpu_count()} cores: files "
            f"of {images:,} images each.",
            "",
            "| command | processor time | limit | peak memory | limit |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]))  # fmt: skip


if __name__ == "__main__":
    main()
