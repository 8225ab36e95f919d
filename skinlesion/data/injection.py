"""Paired injection of the leak: the same test images, and training sets that differ in the leak alone.

The test images of a fold are one image of each tested lesion that has several. A dose of j puts up to j of the
lesion's other images into training, and takes out as many training images of the same class: for a lesion's first
image the only one of a training lesion, for its further images one of a training lesion that keeps another. So the
training sets of all doses have the same number of images and of lesions of every class. Doses are nested: what a dose
puts in and takes out, a larger one does too.
"""

import numpy as np

from skinlesion.errors import UserError
from skinlesion.vocabulary import CLASSES


def chosen_test_images(image_ids: np.ndarray, lesions: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of the one tested image of each lesion with several (L,), and the others' rank (T,) in theirs.

    The tested image is the lesion's first by image id; the others follow by id and have ranks from 1. The tested image
    has rank 0, and so has the image of a lesion that has no other.

    Args:
        image_ids: (N,) of all images.
        lesions: (N,) the lesion of each image.
        tested: (T,) the rows of the test part.
    """
    order = np.lexsort((image_ids[tested], lesions[tested]))
    _, first, counts = np.unique(lesions[tested][order], return_index=True, return_counts=True)
    rank = np.empty(len(tested), dtype=int)
    rank[order] = np.arange(len(tested)) - np.repeat(first, counts)
    return np.sort(tested[order[first[counts > 1]]]), rank


def inject(
    image_ids: np.ndarray,
    lesions: np.ndarray,
    labels: np.ndarray,
    training: np.ndarray,
    tested: np.ndarray,
    dose: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the rows to train on at a dose: as many images and lesions of every class as in `training`.

    Args:
        image_ids: (N,) of all images.
        lesions: (N,) the lesion of each image.
        labels: (N,) positions in CLASSES.
        training: (M,) the rows of the training part.
        tested: (T,) the rows of the test part, which shares no lesion with it.
        dose: the most images of a tested lesion that are trained on.
        rng: decides which training images are taken out; the same for every dose.

    Raises:
        UserError: a class has too few training images to take out.
    """
    _, rank = chosen_test_images(image_ids, lesions, tested)
    put_in = tested[(rank > 0) & (rank <= dose)]
    further = tested[(rank > 1) & (rank <= dose)]
    taken_out = []
    for place, name in enumerate(CLASSES):
        single, spare = _removable(lesions, rng.permutation(training[labels[training] == place]))
        count = int((labels[further] == place).sum())
        first = int((labels[put_in] == place).sum()) - count
        if first > len(single) or count > len(spare):
            raise UserError(
                f"train.injected: {dose} takes {first} training lesions of {name} with one image and {count} further "
                f"images of others, but there are {len(single)} and {len(spare)}; take a smaller dose or more data"
            )
        taken_out += [single[:first], spare[:count]]
    remaining = np.setdiff1d(training, np.concatenate(taken_out))
    rows: np.ndarray = np.sort(np.concatenate([remaining, put_in]))
    return rows


def _removable(lesions: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that are their lesion's only one, and those whose lesion keeps one without them, in order."""
    _, first, lesion, counts = np.unique(lesions[rows], return_index=True, return_inverse=True, return_counts=True)
    single = counts[lesion] == 1
    retained = np.zeros(len(rows), dtype=bool)
    retained[first] = True
    return rows[single], rows[~single & ~retained]
