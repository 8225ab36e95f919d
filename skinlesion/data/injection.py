"""Paired injection of the leak: the same test images, and training sets of one size that differ in the leak alone.

The test images of a fold are one image of each tested lesion that has several. A dose of j puts up to j of the
lesion's other images into training, and takes out as many training images of the same class of other lesions, so that
the training sets of all doses have the same number of images of every class. Doses are nested: what a dose puts in and
takes out, a larger one does too.
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
    """Return the rows to train on at a dose, as many as `training` and as many of every class.

    Args:
        image_ids: (N,) of all images.
        lesions: (N,) the lesion of each image.
        labels: (N,) positions in CLASSES.
        training: (M,) the rows of the training part.
        tested: (T,) the rows of the test part, which shares no lesion with it.
        dose: the most images of a tested lesion that are trained on.
        rng: decides which training images are taken out; the same for every dose.

    Raises:
        UserError: a class has fewer training images than are to be put in.
    """
    _, rank = chosen_test_images(image_ids, lesions, tested)
    put_in = tested[(rank > 0) & (rank <= dose)]
    taken_out = []
    for place, name in enumerate(CLASSES):
        own = rng.permutation(training[labels[training] == place])
        wanted = int((labels[put_in] == place).sum())
        if wanted > len(own):
            raise UserError(
                f"train.injected: {dose} would put {wanted} images of {name} in the place of {len(own)}; take fewer"
            )
        taken_out.append(own[:wanted])
    kept: np.ndarray = np.setdiff1d(training, np.concatenate(taken_out))
    return np.sort(np.concatenate([kept, put_in]))
