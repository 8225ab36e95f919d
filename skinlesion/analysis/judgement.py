"""Judgement of comparisons: families, adjusted p-values and intervals, and the verdicts that agree with them.

The claims fixed in advance are the confirmatory family: their intervals hold together (single-step min-P). All other
comparisons are exploratory: Benjamini–Hochberg within a metric, with intervals at the level of what it rejects [1]. In
both families an adjusted p-value is at most α exactly where the adjusted interval leaves out 0.

References:
    [1] Benjamini Y, Yekutieli D. J Am Stat Assoc 100, 71–81 (2005) (intervals that allow for selection).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.columns import (
    CONFIRMATORY,
    EXPLORATORY,
    JUDGED_COLUMNS,
    LINEAR_METHOD,
    NO_VERDICT,
    RECIPE_METHOD,
)
from skinlesion.analysis.plan import Plan
from skinlesion.stats.linear_estimate import LinearEstimate, correlation, no_variance
from skinlesion.stats.multiplicity import benjamini_hochberg, fcr_level
from skinlesion.stats.recipe import RecipeEstimate
from skinlesion.stats.simultaneous import simultaneous
from skinlesion.stats.verdict import verdict

#: A comparison: the models a and b, and the metric.
Key = tuple[str, str, str]


@dataclass(frozen=True)
class ComparedDifference:
    """A difference b − a as it is judged: over lesions and trainings where there are several, else over lesions.

    Attributes:
        lesions: (K,) ids of the lesions, in the order of the influences.
        trained: the difference of these trained models.
        again: that of training the recipes again, None with single trainings.
        too_few: why there are too few lesions for a verdict; empty if there are enough.
    """

    lesions: np.ndarray
    trained: LinearEstimate
    again: RecipeEstimate | None
    too_few: str = ""

    @property
    def judged(self) -> LinearEstimate | RecipeEstimate:
        """Return the estimate that the verdict rests on."""
        return self.trained if self.again is None else self.again

    @property
    def method(self) -> str:
        """Return the `method` of the row that carries the verdict."""
        return LINEAR_METHOD if self.again is None else RECIPE_METHOD

    @property
    def why_not(self) -> str:
        """Return why there is no verdict, "" where there can be one."""
        if self.too_few or self.trained.undefined:
            return self.too_few or self.trained.undefined
        return no_variance(self.judged.value) if np.isnan(self.judged.interval()[0]) else ""


def judge(
    table: pd.DataFrame,
    differences: Mapping[Key, ComparedDifference],
    plan: Plan,
    claimed: Collection[Key] = (),
) -> pd.DataFrame:
    """Return comparisons.csv: `table` with JUDGED_COLUMNS, filled in for one row per pair and metric.

    Args:
        table: the rows of comparisons.csv of all groups of images, without those columns.
        differences: all pairs and metrics that are judged.
        claimed: pairs and metrics of the confirmatory family, in either order of the pair.
    """
    confirmatory = [key for key in differences if key in claimed or (key[1], key[0], key[2]) in claimed]
    judged = _confirmatory({key: differences[key] for key in confirmatory}, plan)
    rest = [key for key in differences if key not in judged]
    for metric in dict.fromkeys(key[2] for key in rest):
        judged |= _exploratory({key: differences[key] for key in rest if key[2] == metric}, plan)
    filled = table.reindex(columns=list(dict.fromkeys([*table.columns, *JUDGED_COLUMNS]))).astype(
        dict.fromkeys(("family", "adjustment", "verdict"), object)
    )
    for name in ("family", "adjustment", "verdict"):
        filled[name] = ""
    for index, row in table.iterrows():
        key = (row["a"], row["b"], row["metric"])
        if key in differences and row["method"] == differences[key].method:
            for name, value in judged[key].items():
                filled.loc[index, name] = value
    return filled


def _confirmatory(members: Mapping[Key, ComparedDifference], plan: Plan) -> dict[Key, dict[str, Any]]:
    def adjust(differences: list[ComparedDifference], pvalues: np.ndarray) -> _Adjusted:
        degrees = np.array([difference.judged.degrees for difference in differences])
        correlated = joint_correlation(differences)
        together = simultaneous(pvalues, degrees, correlated, plan.confidence, seed=plan.seed)
        return _Adjusted(f"min-P over {len(pvalues)} claims", together.adjusted, together.level)

    return _family(members, CONFIRMATORY, plan, adjust)


def _exploratory(members: Mapping[Key, ComparedDifference], plan: Plan) -> dict[Key, dict[str, Any]]:
    def adjust(differences: list[ComparedDifference], pvalues: np.ndarray) -> _Adjusted:
        level = fcr_level(pvalues, 1 - plan.confidence)
        return _Adjusted(f"Benjamini–Hochberg over {len(pvalues)} pairs", benjamini_hochberg(pvalues), level)

    return _family(members, EXPLORATORY, plan, adjust)


@dataclass(frozen=True)
class _Adjusted:
    """What a family is adjusted for in words, its adjusted p-values (M,), and the level of each test."""

    words: str
    pvalues: np.ndarray
    level: float


def _family(
    members: Mapping[Key, ComparedDifference],
    family: str,
    plan: Plan,
    adjust: Callable[[list[ComparedDifference], np.ndarray], _Adjusted],
) -> dict[Key, dict[str, Any]]:
    """Return the judged columns of the members of a family; those without a verdict do not count in it."""
    judged = {key: _without_verdict(member, family, plan, key) for key, member in members.items() if member.why_not}
    possible = {key: difference for key, difference in members.items() if not difference.why_not}
    if not possible:
        return judged
    adjusted = adjust(list(possible.values()), np.array([member.judged.pvalue() for member in possible.values()]))
    words = "none, one comparison" if len(possible) == 1 else adjusted.words
    for (key, difference), pvalue in zip(possible.items(), adjusted.pvalues, strict=True):
        judged[key] = _with_verdict(difference, family, words, float(pvalue), adjusted.level, plan, key)
    return judged


def _with_verdict(
    difference: ComparedDifference, family: str, adjustment: str, pvalue: float, level: float, plan: Plan, key: Key
) -> dict[str, Any]:
    """Return the judged columns of a difference whose family needs intervals of confidence 1 − level."""
    low, high = difference.judged.interval(1 - level)
    # One-sided tests against the margin, at their own level, adjusted as much as the two-sided test of 0.
    against_margin = low, high
    if plan.one_sided is not None:
        against_margin = difference.judged.interval(1 - 2 * plan.one_sided * level / (1 - plan.confidence))
    margin = plan.margins.get(key[2])
    return {
        "family": family,
        "adjustment": adjustment,
        "p_adjusted": pvalue,
        "low_adjusted": low,
        "high_adjusted": high,
        "margin": np.nan if margin is None else margin,
        "verdict": verdict((low, high), against_margin, margin),
    }


def _without_verdict(difference: ComparedDifference, family: str, plan: Plan, key: Key) -> dict[str, Any]:
    return {
        "family": family,
        "adjustment": "",
        "p_adjusted": np.nan,
        "low_adjusted": np.nan,
        "high_adjusted": np.nan,
        "margin": plan.margins.get(key[2], np.nan),
        "verdict": f"{NO_VERDICT}: {difference.why_not}",
    }


def joint_correlation(differences: Sequence[ComparedDifference]) -> np.ndarray:
    """Return the correlations (M, M) of differences that may be about different lesions.

    Their lesion parts are correlated as their influences are; what trainings add to a variance counts as independent.
    """
    ids, places = np.unique(np.concatenate([difference.lesions for difference in differences]), return_inverse=True)
    starts = np.cumsum([0, *(len(difference.lesions) for difference in differences)])
    widened = []
    for number, difference in enumerate(differences):
        place = places[starts[number] : starts[number + 1]]
        influence, stratum = np.zeros(len(ids)), np.full(len(ids), -1)
        influence[place], stratum[place] = difference.trained.influence, difference.trained.stratum
        widened.append(replace(difference.trained, influence=influence, stratum=stratum, layer_influence=None))
    shares = np.array([difference.trained.variance / difference.judged.variance for difference in differences])
    together = correlation(widened) * np.sqrt(np.outer(shares, shares))
    np.fill_diagonal(together, 1.0)
    return np.asarray(together)
