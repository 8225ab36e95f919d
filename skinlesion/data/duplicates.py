"""Images that are one and the same: equal bytes, equal pixels."""

from collections.abc import Mapping

import pandas as pd

#: Column of files.csv → what its equality means.
EQUALITIES = {"sha256": "bytes", "pixels_sha256": "pixels"}


def exact_duplicates(files: pd.DataFrame) -> pd.DataFrame:
    """Return pairs `first, second, equal`: every image that repeats an earlier one, with the first of its kind.

    Args:
        files: `image_id, sha256, pixels_sha256`, one row an image. Equal files have equal pixels; `equal` says
            "bytes" where the files are equal, else "pixels".
    """
    pairs: dict[tuple[str, str], str] = {}
    for column, equal in EQUALITIES.items():
        first = files.groupby(column, sort=False)["image_id"].transform("first")
        repeats = first != files["image_id"]
        for pair in zip(first[repeats], files.loc[repeats, "image_id"], strict=True):
            pairs.setdefault(pair, equal)
    rows = [(first, second, equal) for (first, second), equal in sorted(pairs.items())]
    return pd.DataFrame(rows, columns=["first", "second", "equal"])


def across_parts(pairs: pd.DataFrame, part_of: Mapping[str, int]) -> pd.DataFrame:
    """Return the pairs (columns `first, second`) whose images lie in different parts."""
    differ = pairs["first"].map(part_of) != pairs["second"].map(part_of)
    return pairs[differ]
