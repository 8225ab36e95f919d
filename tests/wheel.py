"""What `make wheel` runs: the command of an installed wheel compares two files, in a folder without the source.

python tests/wheel.py build/wheel/bare/bin/skinlesion build/wheel/page.html

The page that the comparison wrote is kept under the second name.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS


def predictions(seed: int, skill: float) -> pd.DataFrame:
    """Return simulated predictions of 300 lesions with two images each."""
    lesion = np.repeat(np.arange(300), 2)
    noise = np.random.default_rng(seed).normal(size=(len(lesion), len(CLASSES)))
    p = np.exp(noise + skill * np.eye(len(CLASSES))[lesion % len(CLASSES)])
    table = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=list(PROBABILITY_COLUMNS))
    ids = [f"I{number}" for number in range(len(lesion))]
    return table.assign(image_id=ids, lesion_id=lesion, dx=np.array(CLASSES)[lesion % len(CLASSES)])


def main() -> None:
    command = str(Path(sys.argv[1]).absolute())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, seed, skill in (("a.csv", 0, 1.0), ("b.csv", 1, 2.0)):
            predictions(seed, skill).to_csv(folder / file, index=False)

        def run(*args: str) -> str:
            completed = subprocess.run([command, *args], cwd=folder, capture_output=True, text=True, check=False)
            if completed.returncode:
                sys.exit(f"{' '.join(args)} ended with {completed.returncode}: {completed.stderr}")
            return completed.stdout

        answer = run("compare", "a.csv", "b.csv", "--html", "page.html").splitlines()[0]
        assert answer.startswith("b is better than a by"), answer
        assert "<svg" in (folder / "page.html").read_text(encoding="utf-8")
        shutil.copy(folder / "page.html", sys.argv[2])
        run("score", "a.csv")
        run("registry")
        for example in ("phantom", "offline", "ham10000"):
            run("init", example, "--example", example)
            assert run("experiments", "--params", f"{example}/params.yaml").split()[0] == "image"
        rejected = subprocess.run(
            [command, "demo", "empty"], cwd=folder, capture_output=True, text=True, check=False, env={"PATH": ""}
        )
        assert rejected.returncode == 2, rejected
        assert "pip install 'skinlesion[train]'" in rejected.stderr, rejected
    print(answer)


if __name__ == "__main__":
    main()
