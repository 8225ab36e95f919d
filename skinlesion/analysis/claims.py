"""Published claims about two experiments, answered by their judged comparison."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.analysis.columns import CLAIM_COLUMNS, NO_VERDICT
from skinlesion.params import ClaimParams
from skinlesion.stats.verdict import REVERSED, answer_claim

#: Columns that a claim takes from its comparison as they are, and pairs of columns that change sides with the pair.
_KEPT = ("images", "p", "about", "caution", "adjustment", "p_adjusted", "margin")
_LIMITS = (("low", "high"), ("low_adjusted", "high_adjusted"))


def claimed_keys(claims: Sequence[ClaimParams]) -> set[tuple[str, str, str]]:
    """Return the pairs and metrics of claims: the confirmatory family."""
    return {(claim.a, claim.b, claim.metric) for claim in claims}


def answer_claims(comparisons: pd.DataFrame, claims: Sequence[ClaimParams]) -> pd.DataFrame:
    """Return claims.csv: each claim with the difference b − a that answers it.

    Args:
        comparisons: the columns of comparisons.csv, and `images`.
    """
    judged = comparisons[comparisons["family"] != ""]
    rows = []
    for claim in claims:
        row: dict[str, Any] = claim.model_dump()
        difference = _difference(judged, claim.a, claim.b, claim.metric)
        if difference is None:
            rows.append(row | {"verdict": "", "answer": "not tested on the same images"})
        elif difference["verdict"].startswith(NO_VERDICT):
            rows.append(row | difference | {"answer": f"not answered: {difference['verdict'].partition(': ')[2]}"})
        else:
            rows.append(row | difference | {"answer": answer_claim(difference["verdict"], claim.direction)})
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _difference(judged: pd.DataFrame, a: str, b: str, metric: str) -> dict[str, Any] | None:
    """Return the difference b − a of one pair and metric, reversed where it was computed as a − b."""
    for first, second in ((a, b), (b, a)):
        rows = judged[(judged["a"] == first) & (judged["b"] == second) & (judged["metric"] == metric)]
        if len(rows):
            row = rows.iloc[0]
            kept: dict[str, Any] = {name: row.get(name, np.nan) for name in _KEPT}
            if first == a:
                sides = {name: row[name] for pair in _LIMITS for name in pair}
                return kept | sides | {"difference": row["difference"], "verdict": row["verdict"]}
            sides = {name: -row[other] for low, high in _LIMITS for name, other in ((low, high), (high, low))}
            verdict = REVERSED.get(row["verdict"], row["verdict"])
            return kept | sides | {"difference": -row["difference"], "verdict": verdict}
    return None
