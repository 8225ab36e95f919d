"""Verdicts of a comparison (superior, equivalent, ...) from confidence intervals and the smallest relevant difference.

References:
    [1] Schuirmann DJ. J Pharmacokinet Biopharm 15, 657–680 (1987) (two one-sided tests).
    [2] Piaggio G et al. JAMA 308, 2594–2604 (2012) (CONSORT for non-inferiority and equivalence).
"""

VERDICTS = ("equivalent", "superior", "inferior", "non-inferior", "inconclusive")


def verdict(interval: tuple[float, float], tost_interval: tuple[float, float], margin: float) -> str:
    """Return the verdict on b compared with a, the first of these that holds.

    - equivalent: the 90 % interval lies inside (−margin, margin): a difference may exist, but no relevant one
    - superior: the 95 % interval lies above 0
    - inferior: the 95 % interval lies below 0
    - non-inferior: the 90 % interval lies above −margin
    - inconclusive: none of these

    Args:
        interval: low and high of the 95 % interval of b − a, for a metric that is better when higher.
        tost_interval: low and high of its 90 % interval (two one-sided tests at 5 % each [1]).
        margin: the smallest relevant difference, fixed in advance.

    Raises:
        ValueError: a margin that is not positive, or an interval that is not a number.
    """
    values = (*interval, *tost_interval)
    if not margin > 0:
        raise ValueError(f"margin {margin} is not positive")
    if any(value != value for value in values):
        raise ValueError("an interval holds NaN")
    if -margin < tost_interval[0] and tost_interval[1] < margin:
        return "equivalent"
    if interval[0] > 0:
        return "superior"
    if interval[1] < 0:
        return "inferior"
    return "non-inferior" if tost_interval[0] > -margin else "inconclusive"


def answer_claim(verdict_on_b: str, direction: str) -> str:
    """Return how a verdict on b compared with a answers the claim that b is "higher", "lower" or "equal".

    Returns:
        "supported", "contradicted", "equivalent" (a difference was claimed, and there is no relevant one) or
        "inconclusive". Non-inferiority contradicts a claimed harm and is not enough for a claimed benefit.

    Raises:
        ValueError: an unknown verdict or direction.
    """
    if verdict_on_b not in VERDICTS or direction not in ("higher", "lower", "equal"):
        raise ValueError(f"unknown verdict {verdict_on_b!r} or direction {direction!r}")
    if verdict_on_b == "equivalent":
        return "supported" if direction == "equal" else "equivalent"
    if verdict_on_b == "inconclusive":
        return "inconclusive"
    if direction == "equal":
        return "inconclusive" if verdict_on_b == "non-inferior" else "contradicted"
    if verdict_on_b == "non-inferior":
        return "contradicted" if direction == "lower" else "inconclusive"
    return "supported" if (verdict_on_b == "superior") == (direction == "higher") else "contradicted"
