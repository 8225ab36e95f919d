"""Seconds to evaluate and assess one experiment of 10,015 images and three seeds, intervals included.

    python benchmarks/assessment.py [--workspace examples/offline] [--experiment lite0_concat]

Both as commands, as `dvc repro` runs them, into a folder of their own. Limit: 60 s together on two cores. It needs a
workspace with trained models.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3


def seconds(*command: str, cwd: Path) -> float:
    """Return how long a command takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "skinlesion", *command], cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("examples/offline"))
    parser.add_argument("--experiment", default="lite0_concat")
    arguments = parser.parse_args()
    workspace, name = arguments.workspace.resolve(), arguments.experiment
    evaluating, assessing = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "out")
            evaluating.append(seconds("evaluate", "--experiment", name, "--out", out, cwd=workspace))
            files = [f"{out}/predictions.csv", "--validation", f"{out}/validation.csv"]
            options = ["--metadata", "data/prepared/metadata.csv", "--params", "params.yaml", "--out", f"{out}/tables"]
            assessing.append(seconds("score", *files, *options, cwd=workspace))
    whole = statistics.median(a + b for a, b in zip(evaluating, assessing, strict=True))
    print(f"{name}, medians of {ROUNDS} rounds")
    print(f"evaluate: predictions, masked ones, metrics     {statistics.median(evaluating):5.1f} s")
    print(f"score: metrics again, and the assessment        {statistics.median(assessing):5.1f} s")
    print(f"together                                        {whole:5.1f} s  (limit 60)")


if __name__ == "__main__":
    main()
