"""Simulated predictions for tests: classes as frequent as in HAM10000, some lesions with several images."""

import numpy as np

from skinlesion.evaluation.predictions import Predictions

#: About HAM10000's share of each class.
SHARES = np.array([0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02])


def simulated(count: int = 400, *, seeds: int = 1, seed: int = 0, strength: float = 1.5, folds: int = 1) -> Predictions:
    """Return calibrated predictions of `count` lesions of one to three images each."""
    rng = np.random.default_rng(seed)
    lesion_labels = np.concatenate([np.repeat(np.arange(7), 4), rng.choice(7, count - 28, p=SHARES)])
    lesion = np.repeat(np.arange(count), rng.integers(1, 4, count))
    labels = lesion_labels[lesion]
    common = rng.normal(size=(count, 7))[lesion]
    layers = []
    for _ in range(seeds):
        noise = 0.8 * common + 0.6 * rng.normal(size=(len(labels), 7))
        logits = strength * (noise + strength * np.eye(7)[labels]) + np.log(SHARES)
        powers = np.exp(logits)
        layers.append(powers / powers.sum(axis=1, keepdims=True))
    names = np.array([f"image{number:05d}" for number in range(len(labels))])
    lesions = np.array([f"lesion{number:05d}" for number in lesion])
    of_layers = np.tile(lesion % folds, (seeds, 1))
    return Predictions(names, lesions, labels, of_layers, tuple(range(seeds)), (0,) * seeds, np.stack(layers))
