"""A verdict instead of a p-value: what an interval says, given the smallest difference that matters.

References:
    [1] Schuirmann DJ. J Pharmacokinet Biopharm 15, 657–680 (1987) (two one-sided tests).
    [2] Piaggio G et al. JAMA 308, 2594–2604 (2012) (CONSORT for non-inferiority and equivalence).
"""

VERDICTS = ("equivalent", "superior", "inferior", "non-inferior", "inconclusive")


def verdict(interval: tuple[float, float], tost_interval: tuple[float, float], margin: float) -> str:
    """Return what b is against a.

    - equivalent: the 90 % interval lies inside (−margin, margin); a real difference may be there, but none that matters
    - superior: the 95 % interval lies above 0
    - inferior: the 95 % interval lies below 0
    - non-inferior: the 90 % interval lies above −margin
    - inconclusive: none of these

    Args:
        interval: low and high of the 95 % interval of b − a, higher being better.
        tost_interval: low and high of its 90 % interval.
        margin: the smallest difference that matters, fixed beforehand.

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


def answer_claim(found: str, direction: str) -> str:
    """Return how a verdict on b − a answers a claim that b is "higher", "lower" or "equal".

    Returns:
        "supported", "contradicted", "equivalent" (a difference was claimed and there is none that matters) or
        "inconclusive". Non-inferiority contradicts a claimed harm and is not enough for a claimed benefit.

    Raises:
        ValueError: an unknown verdict or direction.
    """
    if found not in VERDICTS or direction not in ("higher", "lower", "equal"):
        raise ValueError(f"unknown verdict {found!r} or direction {direction!r}")
    if found == "equivalent":
        return "supported" if direction == "equal" else "equivalent"
    if found == "inconclusive":
        return "inconclusive"
    if direction == "equal":
        return "inconclusive" if found == "non-inferior" else "contradicted"
    if found == "non-inferior":
        return "contradicted" if direction == "lower" else "inconclusive"
    return "supported" if (found == "superior") == (direction == "higher") else "contradicted"
