"""Verdicts of a comparison: the direction of a difference, and its size against the smallest relevant difference.

Two questions, two words. "Higher" and "lower" say that the interval leaves out 0. The size is judged against a margin
fixed in advance: more than the margin, within the margin (two one-sided tests [1]), or not lower (non-inferior [2]), or
not higher, by the margin. Both can hold: a difference may be higher and too small to matter.

References:
    [1] Schuirmann DJ. J Pharmacokinet Biopharm 15, 657–680 (1987) (two one-sided tests).
    [2] Piaggio G et al. JAMA 308, 2594–2604 (2012) (CONSORT for non-inferiority and equivalence).
"""

#: Verdict on b − a → verdict on a − b.
REVERSED = {
    "higher by more than the margin": "lower by more than the margin",
    "higher": "lower",
    "higher, within the margin": "lower, within the margin",
    "equivalent": "equivalent",
    "not lower by the margin": "not higher by the margin",
    "inconclusive": "inconclusive",
    "not higher by the margin": "not lower by the margin",
    "lower, within the margin": "higher, within the margin",
    "lower": "higher",
    "lower by more than the margin": "higher by more than the margin",
}

VERDICTS = tuple(REVERSED)


def verdict(interval: tuple[float, float], margin_interval: tuple[float, float], margin: float | None) -> str:
    """Return the verdict on b compared with a, one of `VERDICTS`.

    - higher (lower): the interval lies above (below) 0; by more than the margin: above the margin (below −margin)
    - within the margin: the margin interval lies inside (−margin, margin); without a direction: equivalent
    - not lower by the margin: the margin interval lies above −margin (non-inferior); not higher: below margin
    - inconclusive: none of these

    Args:
        interval: low and high of the two-sided interval of b − a.
        margin_interval: low and high whose one-sided tests against the margin have the wanted level: the 95 % interval
            for 2.5 % each.
        margin: the smallest relevant difference, fixed in advance; None judges the direction alone.

    Raises:
        ValueError: a margin that is not positive, or an interval that is not a number.
    """
    if margin is not None and not margin > 0:
        raise ValueError(f"margin {margin} is not positive")
    if any(value != value for value in (*interval, *margin_interval)):
        raise ValueError("an interval holds NaN")
    low, high = interval
    direction = "higher" if low > 0 else "lower" if high < 0 else ""
    if margin is None:
        return direction or "inconclusive"
    if low > margin or high < -margin:
        return f"{direction} by more than the margin"
    above, below = margin_interval[0] > -margin, margin_interval[1] < margin
    if above and below:
        return f"{direction}, within the margin" if direction else "equivalent"
    if direction:
        return direction
    if above or below:
        return "not lower by the margin" if above else "not higher by the margin"
    return "inconclusive"


def answer_claim(verdict_on_b: str, direction: str) -> str:
    """Return how a verdict on b compared with a answers the claim that b is "higher", "lower" or "equal".

    Returns:
        - "supported", or "supported, within the margin": the claimed direction is shown, and no relevant size
        - "contradicted": the opposite direction is shown; of "equal", a difference of more than the margin
        - "no relevant difference": a direction was claimed, and neither is shown nor relevant
        - "at most the margin": neither direction is shown, and a difference in the claimed one is not relevant
        - "inconclusive": none of these

        A pair answers alike in either order: `answer_claim(REVERSED[v], "lower") == answer_claim(v, "higher")`.

    Raises:
        ValueError: an unknown verdict or direction.
    """
    if verdict_on_b not in VERDICTS or direction not in ("higher", "lower", "equal"):
        raise ValueError(f"unknown verdict {verdict_on_b!r} or direction {direction!r}")
    if direction == "equal":
        if verdict_on_b == "equivalent" or verdict_on_b.endswith(", within the margin"):
            return "supported"
        return "contradicted" if verdict_on_b.endswith("by more than the margin") else "inconclusive"
    if direction == "lower":
        return answer_claim(REVERSED[verdict_on_b], "higher")
    if verdict_on_b.startswith("higher"):
        return "supported, within the margin" if verdict_on_b.endswith(", within the margin") else "supported"
    if verdict_on_b.startswith("lower"):
        return "contradicted"
    answers = {"equivalent": "no relevant difference", "not higher by the margin": "at most the margin"}
    return answers.get(verdict_on_b, "inconclusive")
