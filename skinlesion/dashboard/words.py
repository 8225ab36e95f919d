"""Names, verdicts and answers in words: what the pages write in the place of columns and codes."""

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from skinlesion.analysis.claims import answer_claims
from skinlesion.analysis.pair_report import ComparisonRow
from skinlesion.numbers import is_missing
from skinlesion.params import ClaimParams, Params
from skinlesion.report.comparison_words import answer
from skinlesion.report.tables import SPLIT_BY
from skinlesion.vocabulary import CLASS_NAMES

#: Answer to a claim → the colour of its badge.
_COLOURS = {
    "supported": "green",
    "supported, within the margin": "green",
    "contradicted": "red",
    "no relevant difference": "blue",
    "at most the margin": "blue",
    "inconclusive": "gray",
}


def class_title(dx: str) -> str:
    """Return a class with its code: "melanoma (mel)"."""
    return f"{CLASS_NAMES[dx]} ({dx})"


def first_upper(text: str) -> str:
    """Return text that begins with a capital letter; the rest as it is."""
    return text[:1].upper() + text[1:]


def sees(params: Params, name: str) -> str:
    """Return what a system sees, in words."""
    if name in params.ensembles:
        return f"ensemble of {', '.join(params.ensembles[name].members)}"
    fusion = params.experiment(name).fusion
    return {"none": "image", "metadata_only": "metadata"}.get(fusion, f"image + metadata ({fusion.replace('_', ' ')})")


def split_by(params: Params, name: str) -> str:
    """Return by what a system's test images were split from its training images; of an ensemble that of its members."""
    members = params.ensembles[name].members if name in params.ensembles else [name]
    return "; ".join(dict.fromkeys(SPLIT_BY[params.experiment(member).protocol] for member in members))


def judged_pair(comparisons: pd.DataFrame, a: str, b: str, metric: str) -> dict[str, Any] | None:
    """Return the judged difference b − a of a pair in a metric, whichever way `stats` computed it; None without one."""
    asked = ClaimParams.model_construct(claim="", a=a, b=b, metric=cast(Any, metric), direction="higher", source="")
    row = {str(key): value for key, value in answer_claims(comparisons, [asked]).to_dict("records")[0].items()}
    return row if row["verdict"] or not is_missing(row.get("difference")) else None


def verdict_sentence(row: Mapping[str, Any], confidence: float) -> str:
    """Return which of two systems is better in a metric, or that neither is shown to be, as `skinlesion compare` does.

    Args:
        row: of `judged_pair`, or a judged row of a comparison.
        confidence: of its interval.
    """
    fields: dict[str, Any] = {
        name: None if isinstance(value, float) and is_missing(value) else value for name, value in row.items()
    }
    return answer(cast(Any, ComparisonRow.model_construct)(**fields), confidence)


def answer_badge(answer_to_claim: str) -> str:
    """Return the answer to a claim as a coloured badge of Streamlit's Markdown."""
    word = answer_to_claim.partition(":")[0]
    return f":{_COLOURS.get(answer_to_claim, 'gray')}-badge[{first_upper(word)}]"
