"""Images by their source: metadata may tell a model where a picture comes from, and so what it probably shows.

HAM10000 joins collections with different diagnoses and patients, so that age, sex and site predict the collection. A
gain within one collection, or with every class's images weighted to the same mix of collections, does not come from
that. Among images confirmed by histology it does not come from how a diagnosis was made.
"""

from collections.abc import Iterator

import numpy as np

from skinlesion.evaluation.minimum_sizes import MINIMUM_CLASS_LESIONS

#: What `source_weights` makes of all images.
STANDARDISED = "all sources, each class with the same mix of sources"
CONFIRMED = "histology only"


def subsets(
    labels: np.ndarray, lesions: np.ndarray, sources: np.ndarray, confirmed: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Return the name and the image weights (N,) of each view: each source, histology only, and standardised.

    Of a class with fewer lesions than an interval needs a view has no images; a view with one class is left out.

    Args:
        labels: (N,) positions of classes.
        lesions: (N,) the lesion of each image.
        sources: (N,) the collection of each image.
        confirmed: (N,) bool, whether histology confirmed its diagnosis.
    """
    views = {f"within {source}": (sources == source).astype(float) for source in np.unique(sources)}
    if confirmed.any() and not confirmed.all():
        views[CONFIRMED] = confirmed.astype(float)
    if len(np.unique(sources)) > 1:
        views[STANDARDISED] = source_weights(labels, lesions, sources)
    for name, weights in views.items():
        view_weights = np.where(_scarce(labels, lesions, weights > 0), 0.0, weights)
        if len(np.unique(labels[view_weights > 0])) > 1:
            yield name, view_weights


def source_weights(labels: np.ndarray, lesions: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Return weights (N,) under which the images of every class come from the sources in the same proportions.

    The proportions are those of all images, among the sources that have enough lesions of the class; images of other
    sources have the weight 0. The weights of a class sum to its number of images with weight.
    """
    names, source = np.unique(sources, return_inverse=True)
    overall = np.bincount(source) / len(source)
    weights = np.zeros(len(labels))
    for label in np.unique(labels):
        rows = labels == label
        enough = np.array(
            [len(np.unique(lesions[rows & (source == place)])) >= MINIMUM_CLASS_LESIONS for place in range(len(names))]
        )
        mask = rows & enough[source]
        if not mask.any():
            continue
        wanted = np.where(enough, overall, 0.0) / overall[enough].sum()
        observed = np.bincount(source[mask], minlength=len(names)) / mask.sum()
        weights[mask] = wanted[source[mask]] / observed[source[mask]]
    return weights


def _scarce(labels: np.ndarray, lesions: np.ndarray, included: np.ndarray) -> np.ndarray:
    """Return for each image (N,) whether its class has too few lesions among the included images."""
    scarce = [
        label
        for label in np.unique(labels)
        if len(np.unique(lesions[included & (labels == label)])) < MINIMUM_CLASS_LESIONS
    ]
    return np.isin(labels, scarce)
