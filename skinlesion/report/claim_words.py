"""Claims in sentences: who says what, what the difference is here, and what was published."""

from collections.abc import Mapping
from typing import Any

from skinlesion.analysis.published_projects import Project, published_gain
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import count, points
from skinlesion.params import RUN_FIELDS, Params
from skinlesion.results.selection import differ_in_metadata_alone

#: Answer in claims.csv → what the sentence says of the claim.
_ANSWERS = {
    "supported": "is supported here",
    "supported, within the margin": "is supported here, by a difference too small to matter",
    "contradicted": "is contradicted here",
    "no relevant difference": "is not supported here, and no difference that matters is there",
    "at most the margin": "is not supported here; a difference that way, if there is one, is too small to matter",
    "inconclusive": "is not settled here",
}
#: Metrics of a published difference, besides the claim's own.
_PUBLISHED = "accuracy"


def claim_sentence(row: Mapping[Any, Any], params: Params, projects: Mapping[str, Project]) -> str:
    """Return one claim of claims.csv, answered in a sentence; differences are in points, hundredths of the metric."""
    owner = owner_of(row["source"], projects)
    subject = f"{owner}'s claim" if owner else "The claim"
    text = f"{subject} “{row['claim']}” "
    if row["answer"] not in _ANSWERS:
        return f"{text}is not answered here: {row['answer'].removeprefix('not answered: ')}."
    text += f"{_ANSWERS[row['answer']]}: {difference_words(row, params)}"
    published = published_words(row, params, projects[owner]) if owner else ""
    return f"{text}{published}."


def owner_of(source: str, projects: Mapping[str, Project]) -> str:
    """Return the project whose own claim it is: the one that the source begins with; "" where there is none."""
    name = source.partition(":")[0]
    return name if name in projects else ""


def difference_words(row: Mapping[Any, Any], params: Params) -> str:
    """Return the difference with its simultaneous interval: "accuracy is 3.1 points higher with metadata (…)"."""
    metric, difference = title_of(row["metric"]), row["difference"]
    what, than = contrast(params, row["a"], row["b"])
    of = f" of {row['b']}" if than else ""
    size = f"{points(abs(difference))} points {_direction(difference)}"
    low, high = row["low_adjusted"], row["high_adjusted"]
    return f"{metric}{of} is {size}{what or than} ({limits_words(low, high)})"


def limits_words(low: float, high: float) -> str:
    """Return an interval of a difference in points: "1.2 to 5.0" on one side of 0, "0.4 lower to 5.2 higher" across."""
    if low * high > 0:
        near, far = sorted((abs(low), abs(high)))
        return f"{points(near)} to {points(far)}"
    return f"{points(abs(low))} lower to {points(abs(high))} higher"


def contrast(params: Params, a: str, b: str) -> tuple[str, str]:
    """Return what b has and a has not, " with metadata" or " in the split by image", where it is that alone, and else
    what b is compared with.
    """
    if a in params.experiments and b in params.experiments:
        params_a, params_b = params.experiment(a), params.experiment(b)
        first, second = (settings.model_dump(exclude=set(RUN_FIELDS)) for settings in (params_a, params_b))
        changed = {name for name, value in first.items() if second[name] != value}
        if changed == {"protocol"} and (params_a.protocol, params_b.protocol) == ("lesion", "image"):
            return " in the split by image", ""
        if _adds_metadata(params, a, b) and differ_in_metadata_alone(params_a, params_b):
            return " with metadata", ""
    return "", f" than that of {a}"


def _adds_metadata(params: Params, a: str, b: str) -> bool:
    """Return whether b is an experiment with its own metadata, and a one of the image alone."""
    if a not in params.experiments or b not in params.experiments:
        return False
    params_a, params_b = params.experiment(a), params.experiment(b)
    return params_a.fusion == "none" and params_b.fusion not in ("none", "metadata_only") and params_b.records == "own"


def published_words(row: Mapping[Any, Any], params: Params, project: Project) -> str:
    """Return the difference that the project itself published, where the claim is of metadata; "" elsewhere."""
    if not _adds_metadata(params, row["a"], row["b"]):
        return ""
    gains, unit = published_gain(project, dict.fromkeys((_PUBLISHED, row["metric"])))
    if not gains:
        return "; the project published no such difference"
    listed = [f"{title_of(metric)} {points(abs(gain))} points {_direction(gain)}" for metric, gain in gains.items()]
    return f"; published, split by {unit}: {', '.join(listed)}"


def multiplicity_words(params: Params, claims: int) -> list[str]:
    """Return two sentences: which comparison is the primary one, and how many comparisons at once are allowed for."""
    stats = params.stats
    metric, margin = title_of(stats.primary), stats.margins.get(stats.primary)
    size = (
        f"; the smallest difference that matters, fixed beforehand, is {points(margin)} points"
        if margin is not None
        else ""
    )
    question = params.effect.multimodal
    of = f"{question} against the same model without metadata" if question else "the claims below"
    primary = f"Primary comparison: {of}, by {metric}{size}."
    confidence = f"{100 * stats.confidence:g}%"
    family = (
        f"The {count(claims, 'claim')} are one confirmatory family: {confidence} simultaneous intervals and p-values "
        "adjusted together (single-step min-P)"
        if claims
        else "No claim was fixed beforehand"
    )
    rest = (
        "every other pair is exploratory (Benjamini–Hochberg within a metric, with intervals at the level of what it "
        "rejects), as are gaps between subgroups (Holm)"
    )
    return [primary, f"Multiplicity: {family[0].lower() + family[1:]}; {rest}."]


def _direction(difference: float) -> str:
    return "higher" if difference > 0 else "lower"
