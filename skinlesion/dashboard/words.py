"""Names, verdicts and answers in words: what the pages write in the place of columns and codes."""

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from skinlesion.analysis.claims import answer_claims
from skinlesion.analysis.columns import NO_VERDICT
from skinlesion.evaluation.registry import places_of, title_of
from skinlesion.numbers import interval, is_missing, p_value, plain
from skinlesion.params import ClaimParams, Params
from skinlesion.report.tables import SPLIT_BY
from skinlesion.vocabulary import CLASS_NAMES

#: Verdict on b compared with a, for metrics that are better when higher → sentence.
_VERDICTS = {
    "higher by more than the margin": "{b} is better than {a}, by more than the margin",
    "higher": "{b} is better than {a}{unsized}",
    "higher, within the margin": "{b} is better than {a}, by less than the margin",
    "equivalent": "Neither is shown to be better: the difference is less than the margin",
    "not lower by the margin": "Neither is shown to be better; {b} is not worse than {a} by the margin",
    "inconclusive": "Neither is shown to be better",
    "not higher by the margin": "Neither is shown to be better; {b} is not better than {a} by the margin",
    "lower, within the margin": "{a} is better than {b}, by less than the margin",
    "lower": "{a} is better than {b}{unsized}",
    "lower by more than the margin": "{a} is better than {b}, by more than the margin",
}

#: Answer to a claim → what it means, and the colour of its badge.
_ANSWERS = {
    "supported": ("the difference is in the claimed direction", "green"),
    "supported, within the margin": ("the claimed direction is shown, at less than the margin", "green"),
    "contradicted": ("the opposite of the claim is shown", "red"),
    "no relevant difference": ("no direction is shown, and the difference is less than the margin", "blue"),
    "at most the margin": ("no direction is shown, and a gain would be less than the margin", "blue"),
    "inconclusive": ("neither the claim nor its opposite is shown", "gray"),
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


def verdict_sentence(row: Mapping[str, Any]) -> str:
    """Return which of two systems is better in a metric, or that none is shown to be, with difference and interval.

    Args:
        row: of `judged_pair`, or of a comparison: `a, b, metric, difference, low_adjusted, high_adjusted, margin,
            verdict`.
    """
    verdict, metric = row["verdict"], row["metric"]
    difference = interval(row["difference"], row["low_adjusted"], row["high_adjusted"], places_of(metric), signed=True)
    if verdict.startswith(NO_VERDICT):
        return f"No verdict on the {title_of(metric)}: {verdict.partition(': ')[2]}."
    a, b = f"**{row['a']}**", f"**{row['b']}**"
    sized = not is_missing(row["margin"])
    margin = f"; the margin is {plain(row['margin'])}" if sized else ""
    unsized = ", though not shown to be so by more than the margin" if sized else ""
    said = _VERDICTS[verdict].format(a=a, b=b, unsized=unsized)
    return f"{said} ({title_of(metric)}, {row['b']} − {row['a']}: {difference}{margin})."


def answer_badge(answer: str) -> str:
    """Return the answer to a claim as a coloured badge of Streamlit's Markdown."""
    word = answer.partition(":")[0]
    return f":{_ANSWERS.get(answer, ('', 'gray'))[1]}-badge[{first_upper(word)}]"


def claim_sentence(row: Mapping[Any, Any]) -> str:
    """Return what answers a claim: the meaning of the answer, and the difference with its interval.

    Args:
        row: of claims.csv.
    """
    answer, metric = str(row["answer"]), str(row["metric"])
    if is_missing(row["difference"]):
        return f"{first_upper(answer)}."
    meaning = _ANSWERS[answer][0] if answer in _ANSWERS else answer
    difference = interval(row["difference"], row["low_adjusted"], row["high_adjusted"], places_of(metric), signed=True)
    p = "" if is_missing(row["p_adjusted"]) else f", adjusted p = {p_value(row['p_adjusted'])}"
    return f"{first_upper(meaning)}: {row['b']} − {row['a']} in {title_of(metric)} is {difference}{p}."
