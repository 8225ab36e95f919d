"""The fold scheme: how many folds there are, and which parts of the data each trains, validates and tests on.

Every test fold takes two of the ten parts, validation the one after them, and training the other seven. Everything
follows from FOLDS: more folds mean more, smaller parts.
"""

from typing import Literal

Role = Literal["train", "validation", "test"]

FOLDS = 5
TEST_PARTS = 2
VALIDATION_PARTS = 1
PARTS = FOLDS * TEST_PARTS
TRAINING_PARTS = PARTS - TEST_PARTS - VALIDATION_PARTS


def role_of(part: int, fold: int) -> Role:
    """Return what a part (0 to PARTS − 1) is used for when `fold` (0 to FOLDS − 1) is tested."""
    after_first = (part - TEST_PARTS * fold) % PARTS
    if after_first < TEST_PARTS:
        return "test"
    return "validation" if after_first < TEST_PARTS + VALIDATION_PARTS else "train"
