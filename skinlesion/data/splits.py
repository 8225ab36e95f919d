"""Stratified parts of the data set, by lesion or by image, and the role of each image in a fold.

Which parts a fold tests, validates and trains on is in `skinlesion.folds`. A split may hold several partitions, drawn
from seeds of their own: repeat 0 in the column `part`, repeat 1 in `part_1`, and so on.
"""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.choices import DrawnProtocol, names
from skinlesion.data.duplicates import across_parts
from skinlesion.errors import UserError, name_some
from skinlesion.folds import FOLDS, PARTS, role_of
from skinlesion.reading import read_csv
from skinlesion.vocabulary import CLASSES

PROTOCOLS = names(DrawnProtocol)
COLUMNS = ("image_id", "lesion_id", "dx", "part")


def independent_groups(table: pd.DataFrame) -> np.ndarray:
    """Return what each image (N,) must not be separated from and is clustered by: its patient, else its lesion."""
    lesions = table["lesion_id"].to_numpy(dtype=object)
    if "patient_id" not in table.columns:
        return lesions
    patients = table["patient_id"].fillna("").to_numpy(dtype=object)
    groups: np.ndarray = np.where(patients == "", lesions, patients)
    return groups


def assign_parts(table: pd.DataFrame, protocol: str, seed: int) -> pd.DataFrame:
    """Return `image_id, lesion_id, dx, part` with parts from 0 stratified by diagnosis, deterministic in `seed`.

    Args:
        table: one row per image with `image_id, lesion_id, dx`; the order of rows does not matter.
        protocol: "lesion" keeps every lesion in one part, and every patient where `patient_id` names them; "image"
            deals out images one by one (leaky).

    Raises:
        UserError: a part would have no image of some class.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # takes a second; training needs none

    rows = table.sort_values("image_id", ignore_index=True)
    groups = independent_groups(rows) if protocol == "lesion" else rows["image_id"].to_numpy()
    units = pd.DataFrame({"dx": rows["dx"], "group": groups}).drop_duplicates()
    scarce = {dx: int((units["dx"] == dx).sum()) for dx in CLASSES if (units["dx"] == dx).sum() < PARTS}
    if scarce:
        listed = ", ".join(f"{dx} has {count}" for dx, count in scarce.items())
        raise UserError(
            f"split ({protocol} protocol): {PARTS} parts need {PARTS} {protocol}s of every class, but {listed}; "
            "add data of these classes"
        )
    part = np.full(len(rows), -1)
    folder = StratifiedGroupKFold if protocol == "lesion" else StratifiedKFold
    with warnings.catch_warnings():
        # scikit-learn warns when a class has fewer images than parts; the check below names class and part instead.
        warnings.simplefilter("ignore", UserWarning)
        splitter = folder(n_splits=PARTS, shuffle=True, random_state=seed)
        for number, (_, held) in enumerate(splitter.split(rows, rows["dx"], groups)):
            part[held] = number
    split = rows[["image_id", "lesion_id", "dx"]].assign(part=part)
    counts = part_counts(split)
    empty = [f"part {number} has no {dx}" for dx in CLASSES for number in range(PARTS) if counts.loc[number, dx] == 0]
    if empty:
        raise UserError(f"split ({protocol} protocol): {'; '.join(empty)}; take another split.seed or more data")
    return split


def part_column(repeat: int) -> str:
    """Return the column that holds the parts of a repeat."""
    return "part" if repeat == 0 else f"part_{repeat}"


def repeat_seed(seed: int, repeat: int) -> int:
    """Return the seed of a repeat's partition: `seed` itself for repeat 0, as without repeats."""
    return seed if repeat == 0 else int(np.random.SeedSequence((seed, repeat)).generate_state(1)[0])


def assign_repeats(table: pd.DataFrame, protocol: str, seed: int, repeats: int) -> pd.DataFrame:
    """Return `assign_parts` of each repeat's seed in one table: COLUMNS and `part_1`, `part_2`, … for the others.

    Raises:
        UserError: in some repeat a part would have no image of some class.
    """
    split = assign_parts(table, protocol, seed)
    further = {
        part_column(repeat): assign_parts(table, protocol, repeat_seed(seed, repeat))["part"]
        for repeat in range(1, repeats)
    }
    return split.assign(**further)


def repeats_of(split: pd.DataFrame) -> int:
    """Return how many partitions a split holds."""
    repeats = 1
    while part_column(repeats) in split.columns:
        repeats += 1
    return repeats


def of_repeat(split: pd.DataFrame, repeat: int) -> pd.DataFrame:
    """Return one partition of a split as a split of its own: COLUMNS alone."""
    return split.assign(part=split[part_column(repeat)])[list(COLUMNS)]


def part_counts(split: pd.DataFrame) -> pd.DataFrame:
    """Return images by part (rows) and class (columns)."""
    counts = pd.crosstab(split["part"], split["dx"])
    return counts.reindex(index=range(PARTS), columns=list(CLASSES), fill_value=0)


def crossing_lesions(split: pd.DataFrame) -> list[str]:
    """Return the ids of lesions that lie in more than one part, sorted."""
    parts = split.groupby("lesion_id")["part"].nunique()
    return sorted(parts.index[parts > 1])


def certificate(split: pd.DataFrame) -> dict[str, Any]:
    """Return what can be said for one partition: counts per class and part, lesions across parts, hash of the table."""
    counts = part_counts(split)
    leaked = []
    for fold in range(FOLDS):
        role = roles(split["part"].to_numpy(), fold)
        trained = set(split.loc[role == "train", "lesion_id"])
        test = split.loc[role == "test", "lesion_id"]
        leaked.append(float(test.isin(trained).mean()))
    return {
        "images": len(split),
        "lesions": int(split["lesion_id"].nunique()),
        "lesions_across_parts": len(crossing_lesions(split)),
        "test_images_with_lesion_in_training": {f"fold{fold}": share for fold, share in enumerate(leaked)},
        "images_by_part": {
            f"part{n}": dict(zip(CLASSES, counts.to_numpy()[n].tolist(), strict=True)) for n in range(PARTS)
        },
        "table_sha256": table_hash(split),
    }


def table_hash(split: pd.DataFrame) -> str:
    """Return the SHA-256 of a split's rows as CSV."""
    return hashlib.sha256(split[list(COLUMNS)].to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def roles(part: np.ndarray, fold: int) -> np.ndarray:
    """Return 'train', 'validation' or 'test' for each image (N,), given its part and the test fold (from 0)."""
    return np.array([role_of(number, fold) for number in range(PARTS)])[part]


def check_kept_together(table: pd.DataFrame, split: pd.DataFrame, duplicates: pd.DataFrame, name: str) -> None:
    """Check that one partition by lesion leaves no lesion, patient or pair of equal images across parts.

    Args:
        table: the prepared table, its rows those of `split`.
        split: COLUMNS.
        duplicates: from `exact_duplicates`.
        name: of the partition, which messages begin with.

    Raises:
        UserError: something does; the message names the ids.
    """
    groups = pd.Series(independent_groups(table), index=split.index)
    parts = split["part"].groupby(groups).nunique()
    if (parts > 1).any():
        what = "patients" if "patient_id" in table.columns else "lesions"
        raise UserError(
            f"{name}: {what} across parts: {name_some(parts.index[parts > 1])}; run `skinlesion split` again"
        )
    crossing = across_parts(duplicates, dict(zip(split["image_id"], split["part"], strict=True)))
    if len(crossing):
        listed = name_some(f"{pair.first} = {pair.second} ({pair.equal})" for pair in crossing.itertuples())
        raise UserError(
            f"{name}: equal images across parts: {listed}; give each pair one lesion_id, or leave one of its images out"
        )


def read_split(path: Path, image_ids: pd.Series) -> pd.DataFrame:
    """Return a split (COLUMNS, and the parts of further repeats) in the order of the prepared images.

    Raises:
        UserError: missing file or column, a part that no fold has, or other images than `image_ids`.
    """
    remedy = "run `skinlesion split`"
    text = {"image_id": str, "lesion_id": str, "dx": str}
    split = read_csv(path, COLUMNS, remedy, dtype=text, keep_default_na=False)
    for column in map(part_column, range(repeats_of(split))):
        strange = ~split[column].isin(range(PARTS))
        if strange.any():
            raise UserError(
                f"{path}: {column} outside 0 to {PARTS - 1} at {name_some(split.loc[strange, 'image_id'])}; {remedy}"
            )
        split[column] = split[column].astype(np.int64)
    return aligned(split, path, image_ids)


def aligned(split: pd.DataFrame, path: Path, image_ids: pd.Series) -> pd.DataFrame:
    """Return the rows of a split in the order of the prepared images.

    Raises:
        UserError: an image is listed twice, or others are listed than `image_ids`.
    """
    remedy = "run `skinlesion split`"
    doubled = split["image_id"].duplicated()
    if doubled.any():
        raise UserError(f"{path}: images listed twice: {name_some(split.loc[doubled, 'image_id'])}; {remedy}")
    odd = set(split["image_id"]) ^ set(image_ids)
    if odd:
        raise UserError(f"{path}: lists other images than the prepared data: {name_some(sorted(odd))}; {remedy}")
    return split.set_index("image_id").loc[image_ids].reset_index()


def check_same_records(table: pd.DataFrame, split: pd.DataFrame, name: str) -> None:
    """Check that a split has the lesions of the prepared table, its rows being those of `table`.

    Raises:
        UserError: it has others; the message begins with `name`.
    """
    differ = split["lesion_id"].to_numpy() != table["lesion_id"].to_numpy()
    if differ.any():
        listed = name_some(split.loc[differ, "image_id"])
        raise UserError(f"{name}: another lesion_id than the prepared data at {listed}; run `skinlesion split`")
