"""Tables that say what a data set is made of."""

import numpy as np
import pandas as pd

from skinlesion.vocabulary import CLASS_NAMES, CLASSES, LOCALIZATIONS, SEXES, UNKNOWN

_QUARTILES = (0.25, 0.5, 0.75)


def describe_tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return tables by name, each with classes (or what it is about) in rows; a table whose column is absent is not
    there.

    - classes: images, lesions and their shares; age quartiles; share missing of age, sex and localization.
    - sex, localization, dataset, dx_type: images by class (columns).
    - images_per_lesion: lesions with one image, two, ….
    """
    made = {"classes": _classes(table), "images_per_lesion": _images_per_lesion(table)}
    orders = {"sex": [*SEXES, UNKNOWN], "localization": [*LOCALIZATIONS, UNKNOWN], "dataset": None, "dx_type": None}
    for column, order in orders.items():
        if column in table.columns:
            made[column] = _by_class(table, column, order)
    return made


def pick_images(table: pd.DataFrame, each: int) -> dict[str, list[str]]:
    """Return for each class the ids of up to `each` images of different lesions, the same whenever asked."""
    rng = np.random.default_rng(0)
    picked = {}
    for dx in CLASSES:
        of_class = table[table["dx"] == dx].sort_values("image_id").drop_duplicates("lesion_id")
        rows = rng.permutation(len(of_class))[:each]
        picked[dx] = sorted(of_class["image_id"].iloc[rows])
    return picked


def _classes(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for dx in CLASSES:
        one = table[table["dx"] == dx]
        lesions = one["lesion_id"].nunique()
        quartiles = one["age"].quantile(list(_QUARTILES)).to_list()
        rows.append(
            {
                "dx": dx,
                "name": CLASS_NAMES[dx],
                "images": len(one),
                "image_share": len(one) / len(table),
                "lesions": lesions,
                "lesion_share": lesions / table["lesion_id"].nunique(),
                "images_per_lesion": len(one) / lesions if lesions else float("nan"),
                **dict(zip(("age_q1", "age_median", "age_q3"), quartiles, strict=True)),
                "age_missing": float(one["age"].isna().mean()),
                "sex_missing": float((one["sex"] == UNKNOWN).mean()),
                "localization_missing": float((one["localization"] == UNKNOWN).mean()),
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
