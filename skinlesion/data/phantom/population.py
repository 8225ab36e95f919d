"""The population of the phantom: lesions with their images, age, sex and site, at HAM10000's frequencies.

The tables are counts of lesions in HAM10000_metadata.csv (Tschandl et al. 2018), by the first image of each lesion;
`tests/data/test_phantom_population.py` recounts them on the real file.
"""

import math

import numpy as np
import pandas as pd

from skinlesion.errors import UserError
from skinlesion.folds import PARTS
from skinlesion.vocabulary import CLASSES, LOCALIZATIONS, UNKNOWN

SITES = tuple(sorted((*LOCALIZATIONS, UNKNOWN)))

#: Number of lesions with 1, 2, … 6 images.
LESION_SIZES = {
    "akiec": (151, 57, 18, 2, 0, 0),
    "bcc": (175, 118, 33, 1, 0, 0),
    "bkl": (440, 220, 55, 8, 2, 2),
    "df": (39, 26, 8, 0, 0, 0),
    "mel": (230, 278, 100, 4, 1, 1),
    "nv": (4415, 699, 268, 18, 2, 1),
    "vasc": (64, 25, 8, 1, 0, 0),
}

#: Mean and standard deviation of age in years, and the number of lesions without an age.
AGES = {
    "akiec": (66.6, 11.6, 0),
    "bcc": (66.9, 13.5, 0),
    "bkl": (64.4, 14.0, 9),
    "df": (52.7, 13.1, 0),
    "mel": (61.3, 15.1, 1),
    "nv": (47.3, 14.2, 42),
    "vasc": (52.5, 20.3, 0),
}

#: Number of lesions by sex: female, male, unknown.
SEX_COUNTS = {
    "akiec": (80, 148, 0),
    "bcc": (122, 205, 0),
    "bkl": (304, 414, 9),
    "df": (38, 35, 0),
    "mel": (243, 371, 0),
    "nv": (2584, 2778, 41),
    "vasc": (48, 50, 0),
}

#: Number of lesions by site, in the order of SITES.
SITE_COUNTS = {
    "akiec": (3, 0, 22, 9, 2, 84, 0, 0, 8, 41, 8, 8, 1, 0, 42),
    "bcc": (9, 0, 123, 32, 0, 61, 2, 0, 1, 36, 11, 11, 6, 3, 32),
    "bkl": (36, 0, 133, 50, 4, 194, 1, 1, 12, 109, 20, 24, 57, 19, 67),
    "df": (2, 0, 1, 0, 0, 0, 1, 1, 0, 54, 0, 0, 0, 0, 14),
    "mel": (31, 0, 185, 34, 10, 65, 15, 0, 1, 104, 18, 9, 25, 6, 111),
    "nv": (719, 3, 1058, 112, 19, 61, 209, 43, 39, 1224, 60, 24, 1153, 175, 504),
    "vasc": (22, 0, 12, 3, 0, 5, 0, 0, 3, 16, 2, 2, 27, 0, 6),
}

#: Lesions of every class at least: a split needs one for each part.
FEWEST_LESIONS = PARTS

_MOST_IMAGES = 6
_IMAGES_PER_LESION = 10_015 / 7_470


def draw_population(images: int, seed: int, metadata_signal: float) -> pd.DataFrame:
    """Return `images` rows `image_id, lesion_id, dx, age, sex, localization`, one per image.

    Age, sex and site are drawn given the lesion's diagnosis with probability `metadata_signal`, else given a diagnosis
    drawn from the class frequencies: at 0 they are independent of the diagnosis, and their marginal distribution is the
    same at every value.

    Raises:
        UserError: `images` is too small for FEWEST_LESIONS per class.
    """
    fewest = math.ceil(FEWEST_LESIONS * len(CLASSES) * _IMAGES_PER_LESION)
    if images < fewest:
        raise UserError(
            f"data.phantom.images: {images} are too few for {FEWEST_LESIONS} lesions of each class; "
            f"take {fewest} or more"
        )
    rng = np.random.default_rng((seed, 0))
    frequencies = np.array([sum(LESION_SIZES[dx]) for dx in CLASSES], dtype=float)
    frequencies /= frequencies.sum()
    counts = _apportion(round(images / _IMAGES_PER_LESION), frequencies)
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), counts))  # (L,) diagnosis of each lesion
    sizes = _fit_total(_lesion_sizes(labels, rng), images, rng)  # (L,) images of each lesion

    follows = rng.random(len(labels)) < metadata_signal
    profiles = np.where(follows, labels, rng.choice(len(CLASSES), size=len(labels), p=frequencies))
    people = pd.DataFrame([_person(CLASSES[label], rng) for label in profiles], columns=["age", "sex", "localization"])
    people.insert(0, "dx", [CLASSES[label] for label in labels])
    series = f"PHANTOM{seed or ''}"  # populations of different seeds share no id
    people.insert(0, "lesion_id", [f"{series}_L{lesion:06d}" for lesion in range(len(labels))])
    table = people.loc[people.index.repeat(sizes)].reset_index(drop=True)
    table.insert(0, "image_id", [f"{series}_{image:07d}" for image in range(len(table))])
    return table


def _apportion(total: int, shares: np.ndarray) -> np.ndarray:
    """Return integer counts (C,) that sum to `total`, by largest remainders, none below FEWEST_LESIONS."""
    exact = total * shares
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    counts = np.maximum(counts, FEWEST_LESIONS)
    counts[np.argmax(counts)] -= counts.sum() - total
    return counts


def _lesion_sizes(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sizes = np.empty(len(labels), dtype=int)
    for label, dx in enumerate(CLASSES):
        shares = np.array(LESION_SIZES[dx], dtype=float)
        mask = labels == label
        sizes[mask] = rng.choice(np.arange(1, _MOST_IMAGES + 1), size=mask.sum(), p=shares / shares.sum())
    return sizes


def _fit_total(sizes: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Return sizes that sum to `total`, after adding or removing single images of random lesions."""
    sizes = sizes.copy()
    while (gap := total - sizes.sum()) != 0:
        step = int(np.sign(gap))
        changeable = np.flatnonzero(sizes < _MOST_IMAGES if step > 0 else sizes > 1)
        chosen = rng.permutation(changeable)[: abs(gap)]
        sizes[chosen] += step
    return sizes


def _person(dx: str, rng: np.random.Generator) -> tuple[float, str, str]:
    mean, deviation, missing = AGES[dx]
    sexes = np.array(SEX_COUNTS[dx], dtype=float)
    sites = np.array(SITE_COUNTS[dx], dtype=float)
    age = float(np.clip(5 * np.round(rng.normal(mean, deviation) / 5), 0, 85))  # HAM10000 gives multiples of five
    sex = ("female", "male", UNKNOWN)[rng.choice(3, p=sexes / sexes.sum())]
    site = SITES[rng.choice(len(SITES), p=sites / sites.sum())]
    return (float("nan") if rng.random() < missing / sexes.sum() else age), sex, site
