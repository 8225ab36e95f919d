"""Pairs of images that people confirmed to show one lesion under two lesion ids; their lesions are joined.

`known_pairs.csv` beside this module lists those of public data sets, `data/known_pairs.csv` of a workspace what the
audit's page has led somebody to confirm besides. Both state a reason.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skinlesion.errors import UserError, name_some
from skinlesion.reading import read_csv
from skinlesion.vocabulary import PAIR_COLUMNS

#: Of public data sets.
PUBLIC = Path(__file__).with_name("known_pairs.csv")


def read_known_pairs(workspace: Path | None = None) -> pd.DataFrame:
    """Return the known pairs, PAIR_COLUMNS of text, those of a workspace's own file included where it has one.

    Raises:
        UserError: a file lacks a column, an image is paired with itself, or a pair has no reason.
    """
    tables = []
    for path in (PUBLIC, workspace):
        if path is not None and path.exists():
            table = read_csv(
                path, PAIR_COLUMNS, "its columns are first, second and reason", dtype=str, keep_default_na=False
            )
            wrong = (table["first"] == table["second"]) | (table[list(PAIR_COLUMNS)] == "").any(axis=1)
            if wrong.any():
                listed = name_some(table.loc[wrong, "first"])
                raise UserError(f"{path}: not a pair of two images with a reason: {listed}; complete it")
            tables.append(table[list(PAIR_COLUMNS)])
    return pd.concat(tables, ignore_index=True)


def present_pairs(pairs: pd.DataFrame, image_ids: pd.Series) -> pd.DataFrame:
    """Return the pairs of which a data set has both images."""
    return pairs[pairs["first"].isin(image_ids) & pairs["second"].isin(image_ids)].reset_index(drop=True)


def joined_lesions(table: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Return the lesion id of each image, the lesions of pairs joined under the first of their ids in order.

    Args:
        table: `image_id, lesion_id`.
        pairs: `first, second`, both among the images.

    Raises:
        UserError: joined lesions have different diagnoses.
    """
    lesions, number = np.unique(table["lesion_id"].to_numpy(dtype=str), return_inverse=True)
    row = pd.Series(number, index=table["image_id"].to_numpy())
    first, second = (row.loc[pairs[side]].to_numpy(dtype=int) for side in ("first", "second"))
    edges = coo_array((np.ones(len(pairs)), (first, second)), shape=(len(lesions), len(lesions)))
    joined = connected_components(edges, directed=False)[1]
    smallest = np.full(joined.max(initial=-1) + 1, len(lesions))
    np.minimum.at(smallest, joined, np.arange(len(lesions)))
    result = pd.Series(lesions[smallest[joined[number]]], index=table.index, name="lesion_id")
    diagnoses = table["dx"].groupby(result).nunique()
    torn = diagnoses.index[diagnoses > 1]
    if len(torn):
        raise UserError(f"known pairs: join lesions of different diagnoses: {name_some(torn)}; correct the pairs")
    return result
