"""Mapping of other data sets' diagnoses, sexes and anatomical sites to HAM10000's vocabulary, by name."""

from collections.abc import Mapping

import pandas as pd

from skinlesion.vocabulary import LOCALIZATIONS, SEXES, UNKNOWN

#: ISIC's general sites. One that covers several of HAM10000's maps to the most frequent of them there.
ISIC_SITES = {
    "head/neck": "face",
    "head and neck": "face",
    "anterior torso": "trunk",
    "lateral torso": "trunk",
    "torso": "trunk",
    "posterior torso": "back",
    "upper extremity": "upper extremity",
    "lower extremity": "lower extremity",
    "palms/soles": "acral",
    "palms and soles": "acral",
    "oral/genital": "genital",
    "oral and genital": "genital",
}


def map_words(values: pd.Series, words: Mapping[str, str]) -> pd.Series:
    """Return the mapped values, ignoring case and surrounding spaces; NaN where `words` has no entry."""
    lowered = {key.lower(): value for key, value in words.items()}
    return values.astype("string").str.strip().str.lower().map(lowered)


def map_sites(values: pd.Series, words: Mapping[str, str]) -> pd.Series:
    """Return localizations; values that neither `words` nor the vocabulary holds are unknown."""
    vocabulary = {name: name for name in LOCALIZATIONS}
    return map_words(values, vocabulary | dict(words)).fillna(UNKNOWN).astype(str)


def map_sexes(values: pd.Series) -> pd.Series:
    """Return female, male or unknown."""
    words = {"f": "female", "m": "male"} | {name: name for name in SEXES}
    return map_words(values, words).fillna(UNKNOWN).astype(str)


def drop_unmapped(table: pd.DataFrame, raw: pd.Series, words: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return `table` with dx mapped from `raw`, without unmapped rows, and the number of these by raw diagnosis."""
    dx = map_words(raw, words)
    unmapped = raw[dx.isna()].astype("string").fillna("no diagnosis").astype(str).value_counts()
    mapped = table.assign(dx=dx)[dx.notna()].reset_index(drop=True)
    return mapped.astype({"dx": str}), {str(name): int(count) for name, count in unmapped.items()}
