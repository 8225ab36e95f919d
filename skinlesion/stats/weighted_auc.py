"""AUCs of one score for many lesion weightings at once, by sparse products and a cumulative sum.

The scores of the rarer side ("cases") divide the score axis into segments; a control counts in its segment, and one
tied with a case counts half below and half above it. For lesion weights w, the cumulated control weights below each
distinct case score times the case weights there sum to the Mann–Whitney statistic U: AUC = U / (W_cases · W_controls).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

_GROUP = 16  # rows summed together in `_cumulated`


@dataclass(frozen=True)
class AucPlan:
    """The sparse matrices (distinct case scores × lesions) of one score."""

    controls: csr_array  # controls in the segment below each case score
    cases: csr_array  # cases at each case score
    sides: np.ndarray  # (2, L) float32: cases and controls of each lesion


def plan_auc(positive: np.ndarray, scores: np.ndarray, lesion: np.ndarray, lesions: int) -> AucPlan:
    """Prepare the AUC of `scores` (N,) for `positive` (N,) bool, with images in lesions `lesion` (N,) 0 to L − 1."""
    # The AUC is unchanged when the two sides are exchanged and the scores negated.
    swap = positive.sum() > len(positive) / 2
    case, value = (~positive, -scores) if swap else (positive, scores)
    sides = np.stack([np.bincount(lesion[side], minlength=lesions) for side in (case, ~case)]).astype(np.float32)
    levels, level_of_case = np.unique(value[case], return_inverse=True)  # (K,) ascending
    height = -(-len(levels) // _GROUP) * _GROUP  # rows after the last level stay empty
    cases_at = _matrix(level_of_case, lesion[case], np.ones(case.sum()), height, lesions)

    control, owner = value[~case], lesion[~case]
    first = np.searchsorted(levels, control, side="left")  # lowest case score not below it
    after = np.searchsorted(levels, control, side="right")  # lowest case score strictly above it
    # Half at `first` and half at `after`: the same row for a control that ties with no case.
    rows, owners = np.concatenate([first, after]), np.concatenate([owner, owner])
    below_a_case = rows < len(levels)  # controls above every case never count
    halves = np.full(below_a_case.sum(), 0.5)
    controls = _matrix(rows[below_a_case], owners[below_a_case], halves, height, lesions)
    return AucPlan(controls, cases_at, sides)


def weighted_auc(plan: AucPlan, weights: np.ndarray) -> np.ndarray:
    """Return the AUC (R,) for integer lesion weights (L, R) float32; NaN if a side has no weight.

    float32 holds these counts exactly (below 2²³); products are summed and divided in float64.
    """
    below = _cumulated(plan.controls @ weights)  # (K, R)
    count = np.einsum("kr,kr->r", below, plan.cases @ weights, dtype=np.float64)
    cases_weight, controls_weight = (plan.sides @ weights).astype(np.float64)
    pairs = cases_weight * controls_weight
    return np.divide(count, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _cumulated(steps: np.ndarray) -> np.ndarray:
    """Return the cumulative sums of the rows of `steps` (K, R), K a multiple of _GROUP, in place.

    Within groups of rows first, for all groups at once, then across groups: faster than np.cumsum along the columns.
    Counts are multiples of 1/2, so the order of summation does not change the result.
    """
    groups = steps.reshape(-1, _GROUP, steps.shape[1])  # (K / G, G, R)
    for row in range(1, _GROUP):
        groups[:, row] += groups[:, row - 1]
    ends = np.cumsum(groups[:, -1], axis=0)  # (K / G, R)
    groups[1:] += ends[:-1, None]
    return steps


def _matrix(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, height: int, width: int) -> csr_array:
    matrix = csr_array((values.astype(np.float32), (rows, columns)), shape=(height, width))
    matrix.sum_duplicates()
    return matrix
