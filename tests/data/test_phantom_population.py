"""The phantom's frequencies are those of HAM10000, recounted on the real metadata."""

import pandas as pd
import pytest

from skinlesion.data.phantom.population import AGES, LESION_SIZES, SEX_COUNTS, SITE_COUNTS, SITES
from skinlesion.vocabulary import CLASSES


def test_tables_are_counts_of_the_real_metadata(shared_data):
    table = pd.read_csv(shared_data / "ham10000" / "HAM10000_metadata.csv")
    sizes = table.groupby("lesion_id").size()
    lesions = table.drop_duplicates("lesion_id").set_index("lesion_id")
    for dx in CLASSES:
        of_class = lesions[lesions["dx"] == dx]
        assert LESION_SIZES[dx] == tuple((sizes[of_class.index] == n).sum() for n in range(1, 7))
        assert SEX_COUNTS[dx] == tuple((of_class["sex"] == sex).sum() for sex in ("female", "male", "unknown"))
        assert SITE_COUNTS[dx] == tuple((of_class["localization"] == site).sum() for site in SITES)
        mean, deviation, missing = AGES[dx]
        assert mean == pytest.approx(of_class["age"].mean(), abs=0.051)
        assert deviation == pytest.approx(of_class["age"].std(ddof=0), abs=0.051)
        assert missing == of_class["age"].isna().sum()
