"""Folds that match image by image."""

import numpy as np
import pytest

from skinlesion.stats.resampled import matched_folds


def test_folds_match_up_to_their_numbers():
    folds = np.array([0, 0, 1, 2, 1, 2])
    assert matched_folds(folds, folds)
    assert matched_folds(folds, np.array([5, 5, 3, 4, 3, 4]))
    assert matched_folds(folds, np.array(["x", "x", "z", "y", "z", "y"]))
    assert not matched_folds(folds, np.array([0, 0, 1, 2, 1, 1]))  # one image elsewhere
    assert not matched_folds(folds, np.zeros(6))  # coarser
    assert not matched_folds(np.zeros(6), folds)
    assert not matched_folds(folds, np.arange(6))  # finer
    assert matched_folds(np.zeros(3), np.ones(3))


def test_the_folds_of_another_protocol_do_not_match():
    rng = np.random.default_rng(0)
    by_lesion, by_image = rng.integers(0, 5, (2, 1000))  # share about 20 % of each fold
    assert not matched_folds(by_lesion, by_image)
    order = rng.permutation(1000)
    assert matched_folds(by_lesion[order], (by_lesion[order] + 2) % 5)
    with pytest.raises(ValueError, match="folds of 5"):
        matched_folds(by_lesion[:5], by_image)
