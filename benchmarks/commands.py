"""Speed of the command line and of the phantom: ratios and limits in one run.

    python benchmarks/commands.py

1. `skinlesion --help` against `python -c pass`. Limit: 0.3 s or 3 times, whichever is larger.
2. `dvc repro` in examples/phantom with nothing to do. Limit: 3 s.
3. Images the phantom draws on one core at 128 px. Limit: at least 150 a second.
4. `skinlesion demo` in an empty folder: the whole pipeline on the phantom, once. Limit: 120 s.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUNDS = 5
ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def seconds(*command: str, folder: Path = ROOT) -> float:
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def phantom_rate() -> float:
    from skinlesion.data.sources.phantom import Phantom
    from skinlesion.params import PrepareParams

    settings = PrepareParams(image_size=128)
    phantom = Phantom(2000, 0, 1.0)
    ids = phantom.records()["image_id"][:300]
    phantom.read(ids[0], settings)
    began = time.process_time()
    for image_id in ids:
        phantom.read(image_id, settings)
    return len(ids) / (time.process_time() - began)


def main() -> None:
    times: dict[str, list[float]] = {"pass": [], "help": [], "repro": []}
    seconds("dvc", "repro", folder=ROOT / "examples" / "phantom")
    for _ in range(ROUNDS):
        times["pass"].append(seconds(sys.executable, "-c", "pass"))
        times["help"].append(seconds("skinlesion", "--help"))
        times["repro"].append(seconds("dvc", "repro", folder=ROOT / "examples" / "phantom"))
    bare, help_time, repro = (float(np.median(times[name])) for name in ("pass", "help", "repro"))
    print(f"medians of {ROUNDS} rounds")
    print(
        f"skinlesion --help              {help_time:6.2f} s   (limit {max(0.3, 3 * bare):.2f}; bare python {bare:.2f})"
    )
    print(f"dvc repro with nothing to do   {repro:6.2f} s   (limit 3)")
    print(f"phantom, 128 px, one core      {phantom_rate():6.0f} images/s   (limit at least 150)")
    with tempfile.TemporaryDirectory() as folder:
        demo = seconds("skinlesion", "demo", "demo", folder=Path(folder))
    print(f"skinlesion demo, from nothing  {demo:6.0f} s   (limit 120)")


if __name__ == "__main__":
    main()
