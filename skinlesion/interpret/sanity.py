"""Sanity check of activation maps: maps of a model with random weights should differ from those of the trained one.

References:
    [1] Adebayo J et al. Sanity checks for saliency maps. NeurIPS 2018 (randomised weights, rank correlation).
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from skinlesion.interpret.cam import Explained


def with_random_weights(explained: Explained, seed: int) -> Iterator[tuple[str, Explained]]:
    """Yield copies of a model with fresh weights in the head, then in the head and the backbone [1]."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        randomised = copy.deepcopy(explained)
        randomised.head.apply(_reset)
        yield "random_head", randomised
        randomised = copy.deepcopy(randomised)
        randomised.tapped.model.apply(_reset)
        yield "random_weights", randomised


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()


def rank_correlation(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation (N,) of maps (N, H, W) and others, image by image; NaN for flat ones [1]."""
    x, y = (rankdata(layer.reshape(len(layer), -1), axis=1) for layer in (maps, others))
    x, y = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (x, y))
    denominator = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), denominator, out=np.full(len(maps), np.nan), where=denominator > 0)
