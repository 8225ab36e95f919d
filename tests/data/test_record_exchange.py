"""Records of other lesions: exchanged whole, none keeps its own, and a placebo comes from training lesions alone."""

import numpy as np
import pytest

from skinlesion.data.record_exchange import draw_records, exchange_records, placebo_records

# Ten lesions of one to three images; the last four images of lesions 7, 8 and 9 are not trained on.
LESIONS = np.array([0, 0, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9])
TRAINING = np.arange(11)


def test_every_lesion_takes_one_other_lesions_record_whole():
    lesions = np.repeat(["a", "b", "c", "d"], [3, 1, 2, 1])
    for seed in range(20):
        rows = exchange_records(lesions, np.random.default_rng(seed))
        givers = lesions[rows]
        assert (givers != lesions).all()
        assert set(givers) == set(lesions)
        for lesion in set(lesions):
            assert len(set(rows[lesions == lesion])) == 1
    assert exchange_records(np.array(["a", "a"]), np.random.default_rng(0)).tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_a_placebo_is_the_record_of_another_training_lesion(seed):
    rows = placebo_records(LESIONS, TRAINING, np.random.default_rng(seed))
    givers = LESIONS[rows]
    assert set(rows) <= set(TRAINING)
    assert (givers != LESIONS).all()
    for lesion in set(LESIONS):
        assert len(set(rows[lesion == LESIONS])) == 1


@pytest.mark.parametrize("seed", range(20))
def test_every_training_lesion_gives_its_record_once(seed):
    """So the lesions that are trained on show the records that they have, each as often."""
    rows = placebo_records(LESIONS, TRAINING, np.random.default_rng(seed))
    _, first = np.unique(LESIONS[TRAINING], return_index=True)
    assert sorted(LESIONS[rows[TRAINING[first]]]) == list(range(7))


def test_lesions_that_are_not_trained_on_draw_every_record_alike():
    lesions = np.arange(7000)  # 1,000 trained on
    training = np.arange(1000)
    rows = placebo_records(lesions, training, np.random.default_rng(0))
    counts = np.bincount(rows[1000:], minlength=1000)
    assert counts.sum() == 6000
    # Counts are binomial(6000, 1/1000): their variance is near their mean of 6.
    assert counts.var() == pytest.approx(6, rel=0.15)


def test_an_untrained_image_of_a_trained_lesion_shows_what_its_lesion_shows():
    """Under the leaky split a lesion lies on both sides; it has one record there too."""
    training = np.array([0, 3, 4, 6, 8])  # lesions 0, 1, 2, 3, 5: others of their images are not trained on
    for seed in range(10):
        rows = placebo_records(LESIONS, training, np.random.default_rng(seed))
        assert set(rows) <= set(training)
        for lesion in set(LESIONS):
            assert len(set(rows[lesion == LESIONS])) == 1


def test_a_draw_is_one_giver_for_each_lesion():
    rows = draw_records(np.array([5, 5, 9, 9, 9]), np.array([10, 20, 30]), np.random.default_rng(0))
    assert set(rows) <= {10, 20, 30}
    assert len(set(rows[:2])) == len(set(rows[2:])) == 1
    assert len(draw_records(np.array([], dtype=int), np.array([1]), np.random.default_rng(0))) == 0
