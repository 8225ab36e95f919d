"""Versions of the metadata that a multimodal model is evaluated with, as masked.csv names them.

Every set of fields is shown once while the others are hidden, and once all fields are those of another lesion.
"""

from collections.abc import Collection
from itertools import combinations

#: The fields of a record, in the order of the metadata encoders.
FIELDS = ("age", "sex", "localization")


def shown_name(shown: Collection[str]) -> str:
    """Return the name of the version that shows some fields: "none", "age+sex"."""
    return "+".join(field for field in FIELDS if field in shown) or "none"


#: Every set of fields by its name, from "none" to "age+sex+localization".
SHOWN = {shown_name(shown): shown for size in range(len(FIELDS) + 1) for shown in combinations(FIELDS, size)}

NONE_SHOWN, ALL_SHOWN = shown_name(()), shown_name(FIELDS)

#: All fields, but those of another lesion.
PERMUTED = "permuted"
