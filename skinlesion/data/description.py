"""Descriptive tables of a data set: classes, lesions, sex, age, localization, and example images."""

import numpy as np
import pandas as pd

from skinlesion.vocabulary import CLASS_NAMES, CLASSES, LOCALIZATIONS, SEXES, UNKNOWN

_QUARTILES = (0.25, 0.5, 0.75)


def describe_tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return descriptive tables by name; tables of columns that `table` lacks are left out.

    - classes: per class, images, lesions and their shares; age quartiles; fraction missing of age, sex, localization.
    - sex, localization, dataset, dx_type: per value, the number of images of each class (columns).
    - images_per_lesion: the number of lesions with one image, two, ….

    Args:
        table: the prepared metadata, one row per image.
    """
    tables = {"classes": _classes(table), "images_per_lesion": _images_per_lesion(table)}
    orders = {"sex": [*SEXES, UNKNOWN], "localization": [*LOCALIZATIONS, UNKNOWN], "dataset": None, "dx_type": None}
    for column, order in orders.items():
        if column in table.columns:
            tables[column] = _by_class(table, column, order)
    return tables


def pick_images(table: pd.DataFrame, each: int) -> dict[str, list[str]]:
    """Return per class the ids of up to `each` images of different lesions, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    picked = {}
    for dx in CLASSES:
        candidates = table[table["dx"] == dx].sort_values("image_id").drop_duplicates("lesion_id")
        rows = rng.permutation(len(candidates))[:each]
        picked[dx] = sorted(candidates["image_id"].iloc[rows])
    return picked


def _classes(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for dx in CLASSES:
        images = table[table["dx"] == dx]
        lesions = images["lesion_id"].nunique()
        quartiles = images["age"].quantile(list(_QUARTILES)).to_list()
        rows.append(
            {
                "dx": dx,
                "name": CLASS_NAMES[dx],
                "images": len(images),
                "image_share": len(images) / len(table),
                "lesions": lesions,
                "lesion_share": lesions / table["lesion_id"].nunique(),
                "images_per_lesion": len(images) / lesions if lesions else float("nan"),
                **dict(zip(("age_q1", "age_median", "age_q3"), quartiles, strict=True)),
                "age_missing": float(images["age"].isna().mean()),
                "sex_missing": float((images["sex"] == UNKNOWN).mean()),
                "localization_missing": float((images["localization"] == UNKNOWN).mean()),
            }
        )
    return pd.DataFrame(rows)


def _images_per_lesion(table: pd.DataFrame) -> pd.DataFrame:
    counts = table.groupby("lesion_id").size().value_counts().sort_index()
    return pd.DataFrame({"images": counts.index, "lesions": counts.to_numpy()})


def _by_class(table: pd.DataFrame, column: str, order: list[str] | None) -> pd.DataFrame:
    counts = pd.crosstab(table[column], table["dx"]).reindex(columns=list(CLASSES), fill_value=0)
    if order is not None:
        counts = counts.reindex(index=[name for name in order if name in counts.index])
    return counts.rename_axis(index=column, columns=None).reset_index()
