"""AUCs of one score under many weightings of the lesions, by two sparse products and a short cumulative sum.

The rarer side ("cases") cuts the score axis into segments; a control counts in its segment, and one tied with a
case counts half below and half above it. For lesion weights w, cumulated segment weights below each distinct case
score, times the cases' weights there, sum to the Mann–Whitney count: AUC = that / (W_cases · W_controls).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array


@dataclass(frozen=True)
class AucPlan:
    """The sparse matrices (distinct case scores × lesions) of one score, and the images behind each lesion."""

    controls_between: csr_array
    cases_at: csr_array
    positives: np.ndarray  # (L,) float32, positive images of each lesion
    negatives: np.ndarray  # (L,) float32


def plan_auc(positive: np.ndarray, scores: np.ndarray, lesion: np.ndarray, lesions: int) -> AucPlan:
    """Prepare the AUC of `scores` (N,) for `positive` (N,) bool, with images grouped by `lesion` (N,) 0..L-1."""
    positives = np.bincount(lesion[positive], minlength=lesions).astype(np.float32)
    negatives = np.bincount(lesion[~positive], minlength=lesions).astype(np.float32)
    # P(score of a positive > of a negative) stays the same when the sides change places and scores change sign.
    swap = positive.sum() > len(positive) / 2
    case, value = (~positive, -scores) if swap else (positive, scores)
    levels, level_of_case = np.unique(value[case], return_inverse=True)  # (K,) ascending
    cases_at = _matrix(level_of_case, lesion[case], np.ones(case.sum()), len(levels), lesions)

    control, owner = value[~case], lesion[~case]
    first = np.searchsorted(levels, control, side="left")  # lowest case score it does not exceed
    after = np.searchsorted(levels, control, side="right")  # lowest case score strictly above it
    # Half at `first` and half at `after`: the same row for a control that ties with no case.
    rows, owners = np.concatenate([first, after]), np.concatenate([owner, owner])
    below_some = rows < len(levels)  # controls above every case never count
    halves = np.full(below_some.sum(), 0.5)
    controls = _matrix(rows[below_some], owners[below_some], halves, len(levels), lesions)
    return AucPlan(controls, cases_at, positives, negatives)


def weighted_auc(plan: AucPlan, weights: np.ndarray) -> np.ndarray:
    """Return the AUC (R,) for lesion weights (L, R) float32 of whole numbers; NaN where a side has no weight.

    float32 holds these counts exactly (below 2²³); the division is in float64.
    """
    below = np.cumsum(plan.controls_between @ weights, axis=0)  # (K, R)
    count = np.einsum("kr,kr->r", below, plan.cases_at @ weights, dtype=np.float64)
    pairs = (plan.positives @ weights).astype(np.float64) * (plan.negatives @ weights)
    return np.divide(count, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _matrix(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, height: int, width: int) -> csr_array:
    matrix = csr_array((values.astype(np.float32), (rows, columns)), shape=(height, width))
    matrix.sum_duplicates()
    return matrix
