"""The injected leak by hand: same test images, same sizes and classes at every dose, more of the leak at each."""

import numpy as np
import pytest

from skinlesion.data.injection import chosen_test_images, inject
from skinlesion.errors import UserError

# Rows 0 to 9 are tested: lesion 0 has four images, lesion 1 two, lesion 2 one, lesion 3 three. The others train:
# ten images of class 0 and five of class 1, each of a lesion of its own but for the first two of each class.
TESTED = np.arange(10)
TRAINING = np.arange(10, 25)
LESIONS = np.array([0, 1, 0, 2, 3, 0, 3, 1, 0, 3, 10, 10, *range(11, 19), 30, 30, 31, 32, 33])
LABELS = np.array([0, 1, 0, 1, 0, 0, 0, 1, 0, 0, *[0] * 10, *[1] * 5])
# Ids run against the rows, so that an order by row would show.
IDS = np.array([f"image{99 - row}" for row in range(25)])


def trained(dose, seed=0):
    return inject(IDS, LESIONS, LABELS, TRAINING, TESTED, dose, np.random.default_rng(seed))


def test_the_tested_image_is_the_first_by_id_of_each_lesion_with_several():
    rows, rank = chosen_test_images(IDS, LESIONS, TESTED)
    assert rows.tolist() == [7, 8, 9]  # lesion 0: rows 0, 2, 5, 8; lesion 1: 1, 7; lesion 3: 4, 6, 9; last row first
    assert rank.tolist() == [3, 1, 2, 0, 2, 1, 1, 0, 0, 0]


def test_every_dose_has_the_same_number_of_images_of_every_class():
    counts = np.bincount(LABELS[TRAINING])
    for dose in range(4):
        rows = trained(dose)
        assert len(rows) == len(set(rows.tolist())) == len(TRAINING)
        np.testing.assert_array_equal(np.bincount(LABELS[rows]), counts)


def test_a_dose_holds_so_many_of_the_lesions_other_images_and_never_a_tested_one():
    tested = chosen_test_images(IDS, LESIONS, TESTED)[0]
    expected = {0: [0, 0, 0], 1: [1, 1, 1], 2: [2, 1, 2], 3: [3, 1, 2]}  # of lesions 0, 1 and 3
    for dose, of_lesions in expected.items():
        rows = trained(dose)
        assert not set(rows) & set(tested)
        assert [int((LESIONS[rows] == lesion).sum()) for lesion in (0, 1, 3)] == of_lesions
        assert not (LESIONS[rows] == 2).any()  # which has no tested image
    np.testing.assert_array_equal(trained(0), TRAINING)


def test_doses_are_nested_in_what_they_put_in_and_in_what_they_take_out():
    put_in = [set(trained(dose)) - set(TRAINING) for dose in range(4)]
    taken_out = [set(TRAINING) - set(trained(dose)) for dose in range(4)]
    for sets in (put_in, taken_out):
        assert sets[0] < sets[1] < sets[2] < sets[3]
        assert [len(rows) for rows in sets] == [0, 3, 5, 6]


def test_another_draw_takes_out_others_and_puts_in_the_same():
    first, second = set(trained(2, 0)), set(trained(2, 1))
    assert first != second
    assert first - set(TRAINING) == second - set(TRAINING)


def test_too_few_images_of_a_class_are_said():
    few = TRAINING[:4]  # none of class 1, of which dose 1 puts in one
    with pytest.raises(UserError, match="1 would put 1 images of bcc in the place of 0"):
        inject(IDS, LESIONS, LABELS, few, TESTED, 1, np.random.default_rng(0))
