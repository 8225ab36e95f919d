"""Simulate two models' predictions of lesions like those of HAM10000, for the documentation: no model, no patient.

python docs/site/simulate.py FOLDER      (writes image_only.csv and with_metadata.csv)
"""

import csv
import sys
from pathlib import Path

import numpy as np

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
LESIONS = (40, 50, 105, 35, 90, 545, 35)  # of each class; the rarest are more frequent than in HAM10000
IMAGES = (0.73, 0.20, 0.07)  # shares of the lesions that have one, two and three images
FILES = ("image_only.csv", "with_metadata.csv")


def simulate(folder: Path, seed: int = 1) -> list[Path]:
    """Write both files and return their paths: the same lesions, and a second model that is a little better."""
    rng = np.random.default_rng(seed)
    lesion_class = np.repeat(np.arange(len(CLASSES)), LESIONS)
    lesion = np.repeat(np.arange(len(lesion_class)), rng.choice(3, len(lesion_class), p=IMAGES) + 1)
    labels = lesion_class[lesion]
    look = _noise(rng, lesion)  # what makes an image hard for both models
    paths = []
    for name, strength in zip(FILES, (1.75, 1.95), strict=True):
        evidence = 0.7 * look + 0.7 * _noise(rng, lesion) + strength * np.eye(len(CLASSES))[labels]
        powers = np.exp(strength * evidence)
        paths.append(folder / name)
        _write(paths[-1], lesion, labels, powers / powers.sum(axis=1, keepdims=True))
    return paths


def _noise(rng: np.random.Generator, lesion: np.ndarray) -> np.ndarray:
    """Return noise (N, 7) of variance 1, most of which the images of a lesion have in common."""
    images, classes = len(lesion), len(CLASSES)
    return np.sqrt(0.8) * rng.normal(size=(lesion.max() + 1, classes))[lesion] + np.sqrt(0.2) * rng.normal(
        size=(images, classes)
    )


def _write(path: Path, lesion: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_id", "lesion_id", "dx", *(f"p_{name}" for name in CLASSES)])
        for place, values in enumerate(probabilities):
            image, of = f"IMAGE_{place:04d}", f"LESION_{lesion[place]:04d}"
            rows.writerow([image, of, CLASSES[labels[place]], *(f"{value:.6f}" for value in values)])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for written in simulate(folder):
        print(written)
