"""Published claims about two experiments, answered by their paired comparison."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from skinlesion.analysis.columns import BOOTSTRAP_METHOD, CLAIM_COLUMNS
from skinlesion.params import ClaimParams
from skinlesion.stats.verdict import answer_claim

#: The verdict of a − b, for that of b − a.
_REVERSED = {"superior": "inferior", "inferior": "superior", "non-inferior": "inconclusive"}


def answer_claims(comparisons: pd.DataFrame, claims: Sequence[ClaimParams]) -> pd.DataFrame:
    """Return claims.csv: each claim with the difference b − a that answers it.

    Args:
        comparisons: the columns of comparisons.csv, and `images`.
    """
    judged = comparisons[comparisons["method"] == BOOTSTRAP_METHOD]
    rows = []
    for claim in claims:
        row: dict[str, Any] = claim.model_dump()
        difference = _difference(judged, claim.a, claim.b, claim.metric)
        if difference is None:
            rows.append(row | {"verdict": "", "answer": "not tested on the same images"})
        else:
            verdict = difference["verdict"]
            answer = answer_claim(verdict, claim.direction) if verdict else "undefined"
            rows.append(row | difference | {"answer": answer})
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _difference(judged: pd.DataFrame, a: str, b: str, metric: str) -> dict[str, Any] | None:
    """Return the difference b − a of one pair and metric, reversed where it was computed as a − b."""
    for first, second in ((a, b), (b, a)):
        rows = judged[(judged["a"] == first) & (judged["b"] == second) & (judged["metric"] == metric)]
        if len(rows):
            row = rows.iloc[0]
            images = row.get("images")
            if first == a:
                return {"images": images} | {name: row[name] for name in ("difference", "low", "high", "verdict")}
            return {
                "images": images, "difference": -row["difference"], "low": -row["high"], "high": -row["low"],
                "verdict": _REVERSED.get(row["verdict"], row["verdict"]),
            }  # fmt: skip
    return None
