"""Memory and time of `skinlesion compare` on two files of 400,000 images each, the size of ISIC 2024.

    python benchmarks/large_compare.py [--images 400000]

Lesions have one image or two; both models are simulated. The limit of the peak memory stands beside it; the time is of
the machine that it ran on.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS

LIMIT_GB = 4.0
_SHARES = np.array([0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02])
_MEASURED = """
import resource, sys
from skinlesion import cli
sys.argv = ["skinlesion", "compare", *sys.argv[1:], "--json"]
try:
    cli.main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def write(path: Path, images: int, seed: int) -> None:
    """Write predictions whose labels and lesions do not depend on the seed."""
    given = np.random.default_rng(0)
    lesion = np.cumsum(given.random(images) < 0.75)
    labels = given.choice(len(CLASSES), lesion[-1] + 1, p=_SHARES)[lesion]
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
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.csv" for name in ("a", "b")]
        for seed, path in enumerate(paths, start=1):
            write(path, images, seed)
        started = time.perf_counter()
        finished = subprocess.run(
            [sys.executable, "-c", _MEASURED, *map(str, paths)], capture_output=True, text=True, check=True
        )
    peak = int(finished.stderr.split()[-1]) / 1e6
    seconds = time.perf_counter() - started
    print(f"compare, 2 x {images:,} images: peak {peak:.2f} GB (limit {LIMIT_GB:g}), {seconds:.0f} s")


if __name__ == "__main__":
    main()
