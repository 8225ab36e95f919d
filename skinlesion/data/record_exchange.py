"""Records given to other lesions: exchanged among some images, or drawn from training lesions as a placebo."""

import numpy as np

#: The columns of the metadata table that a record consists of.
RECORD = ("age", "sex", "localization")


def exchange_records(lesions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a row (N,) for each image to take its record from: an image of another lesion, lesions exchanged whole.

    Lesions are put in a random circle and each takes the record of the next, so that none keeps its own (unless
    there is only one). Images of a lesion take one record, that of its neighbour's first image.

    Args:
        lesions: (N,) the lesion of each image.
    """
    _, first, lesion = np.unique(lesions, return_index=True, return_inverse=True)
    circle = rng.permutation(len(first))
    giver = np.empty(len(first), dtype=int)
    giver[circle] = np.roll(circle, -1)
    rows: np.ndarray = first[giver][lesion]
    return rows


def placebo_records(lesions: np.ndarray, training: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a row (N,) for each image to take its record from: that of a training lesion other than its own.

    Training lesions exchange records as `exchange_records` does, each giving its own exactly once, so that a model
    is trained on the records that it would be trained on without the exchange. Every other lesion takes that of a
    training lesion drawn at random. All images of a lesion take one record. Diagnoses are not looked at.

    Args:
        lesions: (N,) the lesion of each image.
        training: (T,) the rows that are trained on.
    """
    trained = np.isin(lesions, lesions[training])
    rows = np.empty(len(lesions), dtype=int)
    exchanged = training[exchange_records(lesions[training], rng)]  # (T,)
    trained_lesions, place = np.unique(lesions[training], return_index=True)
    # An image outside training whose lesion is trained on (a leaky split) takes what its lesion takes.
    rows[trained] = exchanged[place[np.searchsorted(trained_lesions, lesions[trained])]]
    rows[~trained] = draw_records(lesions[~trained], training[place], rng)
    return rows


def draw_records(lesions: np.ndarray, givers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one of `givers` (G,) for each image (N,), drawn at random for each lesion."""
    _, lesion = np.unique(lesions, return_inverse=True)
    drawn: np.ndarray = givers[rng.integers(len(givers), size=lesion.max(initial=-1) + 1)][lesion]
    return drawn
