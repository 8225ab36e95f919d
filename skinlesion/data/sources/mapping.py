"""Other data sets' words in ours: diagnoses, sexes and anatomical sites, always by name."""

from collections.abc import Mapping

import pandas as pd

from skinlesion.vocabulary import LOCALIZATIONS, SEXES, UNKNOWN

#: ISIC's general sites. Where one covers several of HAM10000's, the commonest of these there.
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
    """Return our word for each value, whatever its case and outer spaces; NaN where there is none."""
    lowered = {key.lower(): value for key, value in words.items()}
    return values.astype("string").str.strip().str.lower().map(lowered)


def map_sites(values: pd.Series, words: Mapping[str, str]) -> pd.Series:
    """Return localizations; what has no word, ours included, is unknown."""
    own = {name: name for name in LOCALIZATIONS}
    return map_words(values, own | dict(words)).fillna(UNKNOWN).astype(str)


def map_sexes(values: pd.Series) -> pd.Series:
    """Return female, male or unknown."""
    words = {"f": "female", "m": "male"} | {name: name for name in SEXES}
    return map_words(values, words).fillna(UNKNOWN).astype(str)


def drop_unmapped(table: pd.DataFrame, raw: pd.Series, words: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return `table` with dx mapped from `raw`, rows without a word left out, and how many of each were."""
    dx = map_words(raw, words)
    lost = raw[dx.isna()].fillna("no diagnosis").astype(str).value_counts()
    kept = table.assign(dx=dx)[dx.notna()].reset_index(drop=True)
    return kept.astype({"dx": str}), {str(name): int(count) for name, count in lost.items()}
