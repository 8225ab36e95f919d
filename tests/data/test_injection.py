"""The injected leak by hand: same test images, same sizes and classes at every dose, more of the leak at each."""

import numpy as np
import pytest

from skinlesion.data.injection import chosen_test_images, inject
from skinlesion.errors import UserError

# Rows 0 to 9 are tested: lesion 0 has four images, lesion 1 two, lesion 2 one, lesion 3 three. The others train:
# of class 0 lesion 10 with four images, 11 with two and four with one; of class 1 lesion 30 with two and 31 with one.
TESTED = np.arange(10)
TRAINING = np.arange(10, 23)
LESIONS = np.array([0, 1, 0, 2, 3, 0, 3, 1, 0, 3, 10, 10, 10, 10, 11, 11, 12, 13, 14, 15, 30, 30, 31])
LABELS = np.array([0, 1, 0, 1, 0, 0, 0, 1, 0, 0, *[0] * 10, *[1] * 3])
# Ids run against the rows, so that an order by row would show.
IDS = np.array([f"image{99 - row}" for row in range(len(LESIONS))])


def trained(dose, seed=0):
    return inject(IDS, LESIONS, LABELS, TRAINING, TESTED, dose, np.random.default_rng(seed))


def test_the_tested_image_is_the_first_by_id_of_each_lesion_with_several():
    rows, rank = chosen_test_images(IDS, LESIONS, TESTED)
    assert rows.tolist() == [7, 8, 9]  # lesion 0: rows 0, 2, 5, 8; lesion 1: 1, 7; lesion 3: 4, 6, 9; last row first
    assert rank.tolist() == [3, 1, 2, 0, 2, 1, 1, 0, 0, 0]


def test_every_dose_has_as_many_images_and_lesions_of_every_class():
    for seed in range(20):
        for dose in range(4):
            rows = trained(dose, seed)
            assert len(rows) == len(set(rows.tolist())) == 13
            assert np.bincount(LABELS[rows]).tolist() == [10, 3]
            assert [len(set(LESIONS[rows[LABELS[rows] == dx]])) for dx in (0, 1)] == [6, 2]


def test_a_first_image_replaces_a_whole_lesion_and_a_further_one_an_image_of_a_lesion_that_stays():
    single = {16, 17, 18, 19, 22}
    for seed in range(20):
        first_removed, second_removed = set(TRAINING) - set(trained(1, seed)), set(TRAINING) - set(trained(2, seed))
        assert first_removed < single
        assert 22 in first_removed  # the only one of class 1
        assert not (second_removed - first_removed) & single
        assert {10, 11} <= set(LESIONS[trained(3, seed)])


def test_a_dose_holds_so_many_of_the_lesions_other_images_and_never_a_tested_one():
    tested = chosen_test_images(IDS, LESIONS, TESTED)[0]
    expected = {0: [0, 0, 0], 1: [1, 1, 1], 2: [2, 1, 2], 3: [3, 1, 2]}  # of lesions 0, 1 and 3
    for dose, images_per_lesion in expected.items():
        rows = trained(dose)
        assert not set(rows) & set(tested)
        assert [int((LESIONS[rows] == lesion).sum()) for lesion in (0, 1, 3)] == images_per_lesion
        assert not (LESIONS[rows] == 2).any()  # which has no tested image
    np.testing.assert_array_equal(trained(0), TRAINING)


def test_doses_are_nested_in_what_they_put_in_and_in_what_they_take_out():
    added = [set(trained(dose)) - set(TRAINING) for dose in range(4)]
    removed = [set(TRAINING) - set(trained(dose)) for dose in range(4)]
    for sets in (added, removed):
        assert sets[0] < sets[1] < sets[2] < sets[3]
        assert [len(rows) for rows in sets] == [0, 3, 5, 6]


def test_another_draw_takes_out_others_and_puts_in_the_same():
    first, second = set(trained(2, 0)), set(trained(2, 1))
    assert first != second
    assert first - set(TRAINING) == second - set(TRAINING)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (np.arange(10, 22), "1 takes 1 training lesions of bcc with one image and 0 further images of others"),
        (np.arange(16, 23), "2 takes 2 training lesions of akiec with one image and 2 further images of others"),
    ],
)
def test_too_few_images_of_a_class_are_reported(training, message):
    dose = int(message[0])
    with pytest.raises(UserError, match=message):
        inject(IDS, LESIONS, LABELS, training, TESTED, dose, np.random.default_rng(0))
