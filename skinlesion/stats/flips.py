"""What changes for people: images that one classifier gets right and the other wrong, a class at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Flips:
    """Images of one class whose answer changes from a to b: ids right → wrong (lost) and wrong → right (gained)."""

    class_name: str
    cases: int
    lost: tuple[str, ...]
    gained: tuple[str, ...]


def flips(
    labels: np.ndarray, answers_a: np.ndarray, answers_b: np.ndarray, ids: np.ndarray, class_names: Sequence[str]
) -> list[Flips]:
    """Return the flips of every class.

    Args:
        labels, answers_a, answers_b: (N,) positions in `class_names`: truth and the two classifiers' answers.
        ids: (N,) image ids.
    """
    right_a, right_b = answers_a == labels, answers_b == labels
    found = []
    for position, name in enumerate(class_names):
        mine = labels == position
        lost, gained = ids[mine & right_a & ~right_b], ids[mine & ~right_a & right_b]
        found.append(Flips(name, int(mine.sum()), tuple(map(str, np.sort(lost))), tuple(map(str, np.sort(gained)))))
    return found
