"""Reading prediction files as groups publish them: their own column names, class numbers, and paths for ids.

Ids, lesions and diagnoses come from the archive's metadata, never from the file; what the file says of a diagnosis is
checked against it.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
from scipy.special import softmax

from skinlesion.errors import UserError, name_some, shorten, shown
from skinlesion.evaluation.predictions import Predictions
from skinlesion.reading import read_csv
from skinlesion.vocabulary import CLASSES

#: Columns that may hold the id of an image, or the path of its file; the first that is there counts.
_ID_COLUMNS = ("image_id", "image", "isic_id", "filename", "file_name", "file", "filepath", "path", "img_path", "id")
#: Columns that may hold the true diagnosis as the group has it.
_LABEL_COLUMNS = ("true_label", "dx", "label", "y_true", "target", "true", "diagnosis")
#: Words before the class in the name of a column of scores.
_LOGIT_WORDS = frozenset({"logit", "logits"})
_SCORE_WORDS = _LOGIT_WORDS | {"p", "prob", "probs", "probability", "pred", "score", "softmax", "class", "output"}
_FILE_ENDINGS = re.compile(r"\.(jpe?g|png|bmp|tiff?)$", re.IGNORECASE)
_ROUNDING = 1e-2  # by which a row may miss a sum of one, as files of few digits do
_AGREEING = 0.95  # share of labels that must agree with the archive

#: Names of the diagnoses, letters alone in lower case → class.
_NAMES = {
    "akiec": "akiec", "ak": "akiec", "actinickeratosis": "akiec", "actinickeratoses": "akiec", "bowensdisease": "akiec",
    "actinickeratosesandintraepithelialcarcinoma": "akiec", "bcc": "bcc", "basalcellcarcinoma": "bcc", "bkl": "bkl",
    "benignkeratosis": "bkl", "benignkeratosislikelesions": "bkl", "benignkeratosislikelesion": "bkl", "df": "df",
    "dermatofibroma": "df", "mel": "mel", "melanoma": "mel", "nv": "nv", "nevus": "nv", "naevus": "nv",
    "melanocyticnevi": "nv", "melanocyticnevus": "nv", "melanocyticnaevus": "nv", "vasc": "vasc", "vascular": "vasc",
    "vascularlesion": "vasc", "vascularlesions": "vasc",
}  # fmt: skip


@dataclass(frozen=True)
class PublishedPredictions:
    """One model's published predictions of images of the archive.

    Attributes:
        disagreeing: the images whose diagnosis in the file is not the archive's, which counts.
        layout: in words, how the file was read.
    """

    predictions: Predictions
    disagreeing: tuple[str, ...]
    layout: str


def read_published(
    path: Path, archive: pd.DataFrame, classes: Path | None = None, *, logits: bool = False
) -> PublishedPredictions:
    """Return the predictions of a file, in the order of the image ids.

    Args:
        path: a CSV with an id or a path for each image, and one column for each class: named after the class, or
            numbered.
        archive: the archive's metadata: `image_id, lesion_id, dx`.
        classes: a table of the class numbers: a column of numbers and a column of names.
        logits: scores are logits, of which the softmax is taken; columns named "logit…" always are.

    Raises:
        UserError: columns are missing or unclear, an id is unknown or stands twice, scores are no probabilities, or
            diagnoses contradict the archive; the message names ids or the order of classes that fits.
    """
    remedy = "give a table with one row for each image and one column for each class"
    table = read_csv(path, (), remedy, keep_default_na=False)
    if table.empty:
        raise UserError(f"{path}: holds no predictions; {remedy}")
    names = {str(name).strip().lower(): name for name in table.columns}
    id_column = next((names[name] for name in _ID_COLUMNS if name in names), None)
    if id_column is None:
        raise UserError(f"{path}: no column of image ids, such as {', '.join(_ID_COLUMNS[:4])}; {remedy}")
    ids = image_ids(table[id_column])
    records = archive.set_index("image_id")
    _check_ids(path, ids, records)
    columns, named, are_logits = _score_columns(path, names, remedy)
    label_column = next((names[name] for name in _LABEL_COLUMNS if name in names), None)
    truth = records.loc[ids, "dx"].to_numpy(dtype=str)
    raw_labels = None if label_column is None else _label_texts(table[label_column])
    if named:
        order, how = list(columns), "columns named after the classes"
    else:
        order, how = _numbered(path, list(columns), classes, raw_labels, truth)
    by_code = dict(zip(columns, order, strict=True))
    if named and raw_labels is not None and (codes := sorted({code for code in raw_labels if code.isdigit()}, key=int)):
        by_code |= dict(zip(codes, _numbered(path, codes, classes, raw_labels, truth)[0], strict=True))
    disagreeing = () if raw_labels is None else _check_labels(path, ids, raw_labels, truth, by_code)
    scores = table[[columns[key] for key in columns]].replace("", np.nan)
    numbers = scores.apply(pd.to_numeric, errors="coerce")
    wrong = (numbers.isna() & scores.notna()).to_numpy()
    if wrong.any():
        row, column = (int(place[0]) for place in np.nonzero(wrong))
        cell = shown(scores.iloc[row, column])
        raise UserError(f"{path}: line {row + 2}: {scores.columns[column]} is {cell}, not a number; correct it")
    values = np.empty((len(ids), len(CLASSES)))
    for place, name in enumerate(order):
        values[:, CLASSES.index(name)] = numbers.iloc[:, place].to_numpy(dtype=float)
    probabilities = _probabilities(path, ids, values, are_logits or logits)
    rows = np.argsort(ids)
    predictions = Predictions(
        image_ids=ids[rows],
        lesions=records.loc[ids[rows], "lesion_id"].to_numpy(dtype=str),
        labels=np.array([CLASSES.index(dx) for dx in truth[rows]]),
        folds=np.zeros((1, len(rows)), dtype=int),
        seeds=(0,),
        repeats=(0,),
        probabilities=probabilities[rows][None],
    )
    read = f"ids from `{id_column}`, {how}, {'softmax of logits' if are_logits or logits else 'probabilities'}"
    return PublishedPredictions(predictions, disagreeing, read)


def image_ids(values: pd.Series) -> np.ndarray:
    """Return the image ids (N,) of ids or paths, of any system, with or without the ending of a file."""
    last = values.astype(str).str.strip().map(lambda text: PureWindowsPath(text).name)  # which knows both slashes
    return np.asarray(last.str.replace(_FILE_ENDINGS, "", regex=True).to_numpy(dtype=str))


def read_ids(path: Path) -> np.ndarray:
    """Return the image ids (N,) that a file lists: one a line, or a CSV with a column of ids or paths.

    Raises:
        UserError: it cannot be read, or is a table without such a column.
    """
    remedy = "give one image id a line, or a table with a column image_id"
    table = read_csv(path, (), remedy, dtype=str, keep_default_na=False)
    names = {str(name).strip().lower(): name for name in table.columns}
    column = next((names[name] for name in _ID_COLUMNS if name in names), None)
    if column is not None:
        return image_ids(table[column])
    if len(table.columns) > 1:
        raise UserError(f"{path}: no column of image ids; {remedy}")
    return image_ids(pd.Series([table.columns[0], *table.iloc[:, 0]]))


def _check_ids(path: Path, ids: np.ndarray, records: pd.DataFrame) -> None:
    unknown = ids[~np.isin(ids, records.index.to_numpy(dtype=str))]
    if len(unknown):
        raise UserError(f"{path}: not in the archive ({len(unknown):,}): {name_some(unknown, 5)}; leave them out")
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise UserError(f"{path}: listed twice: {name_some(values[counts > 1], 5)}; give each image once")


def _score_columns(path: Path, names: dict[str, str], remedy: str) -> tuple[dict[str, str], bool, bool]:
    """Return class (or number, as text) → column, whether they are named after classes, and whether they are logits."""
    by_name: dict[str, str] = {}
    by_number: dict[str, str] = {}
    logits = set()
    for lowered, column in names.items():
        if lowered in _ID_COLUMNS + _LABEL_COLUMNS:
            continue
        words = re.findall(r"[a-z']+|\d+", lowered)
        before = list(itertools.takewhile(_SCORE_WORDS.__contains__, words))
        label = " ".join(words[len(before) :])
        if label.isdigit():
            by_number[str(int(label))] = column
        elif (dx := _class_named(label)) is not None:
            if dx in by_name:
                raise UserError(f"{path}: columns {by_name[dx]} and {column} are both of {dx}; leave one out")
            by_name[dx] = column
        else:
            continue
        logits.add(not _LOGIT_WORDS.isdisjoint(before))
    chosen, named = (by_name, True) if len(by_name) == len(CLASSES) else (by_number, False)
    if len(chosen) != len(CLASSES):
        raise UserError(
            f"{path}: {max(len(by_name), len(by_number))} columns of class scores among "
            f"{shorten(', '.join(names))}; {len(CLASSES)} are needed, such as probability_class_0 or p_mel"
        )
    if not named:
        chosen = {key: chosen[key] for key in sorted(chosen, key=int)}
    return chosen, named, logits == {True}


def _label_texts(labels: pd.Series) -> np.ndarray:
    """Return labels as text (N,): class numbers as integers, whether they were written 3, 3.0 or 03."""
    text = labels.astype(str).str.strip()
    return np.asarray(text.str.replace(r"^0*(\d+)(?:\.0*)?$", r"\1", regex=True).to_numpy(dtype=str))


def _class_named(name: str) -> str | None:
    return _NAMES.get(re.sub(r"[^a-z]", "", name.lower()))


def _numbered(
    path: Path, codes: Sequence[str], classes: Path | None, raw_labels: np.ndarray | None, truth: np.ndarray
) -> tuple[list[str], str]:
    """Return the class of each number, and how it is known."""
    if classes is not None:
        by_code = read_class_table(classes)
        missing = [code for code in codes if code not in by_code]
        if missing:
            raise UserError(f"{classes}: no class {', '.join(missing)}, which {path} has; complete it")
        order = [by_code[code] for code in codes]
        fits = None if raw_labels is None else _fitting_order(codes, raw_labels, truth)
        if fits is not None and fits != order:
            order_text = ", ".join(f"{code} = {dx}" for code, dx in zip(codes, fits, strict=True))
            raise UserError(
                f"{path}: the true labels fit another order of classes than {classes}: {order_text}; correct it"
            )
        return order, f"class numbers by {classes.name}"
    fits = None if raw_labels is None else _fitting_order(codes, raw_labels, truth)
    if fits is None:
        raise UserError(f"{path}: classes are numbered and nothing says which is which; give their table by --classes")
    return fits, "class numbers by the true labels, which fit one order"


def _fitting_order(codes: Sequence[str], raw_labels: np.ndarray, truth: np.ndarray) -> list[str] | None:
    """Return the class of each number that the true labels fit, None where they fit none."""
    order = []
    for code in codes:
        values, counts = np.unique(truth[raw_labels == code], return_counts=True)
        if not len(values) or counts.max() < _AGREEING * counts.sum():
            return None
        order.append(str(values[counts.argmax()]))
    return order if len(set(order)) == len(order) else None


def read_class_table(path: Path) -> dict[str, str]:
    """Return number (as text) → class of a table of class numbers and names.

    Raises:
        UserError: it has no column of numbers and none of names that are known, or a class twice.
    """
    remedy = "give a table with a column of class numbers and one of names, such as melanoma"
    table = read_csv(path, (), remedy, dtype=str, keep_default_na=False)
    numbers = next((name for name in table.columns if table[name].str.strip().str.isdigit().all()), None)
    names = next((name for name in table.columns if table[name].map(_class_named).notna().all()), None)
    if table.empty or numbers is None or names is None:
        raise UserError(f"{path}: classes not understood; {remedy}")
    by_code = {str(int(code)): _class_named(name) for code, name in zip(table[numbers], table[names], strict=True)}
    if len(set(by_code.values())) != len(table):
        raise UserError(f"{path}: a class or a number stands twice; correct it")
    return {code: str(dx) for code, dx in by_code.items()}


def _check_labels(
    path: Path, ids: np.ndarray, raw_labels: np.ndarray, truth: np.ndarray, by_code: dict[str, str]
) -> tuple[str, ...]:
    """Return the images whose diagnosis in the file is not the archive's."""
    read = [by_code.get(code) or _class_named(code) for code in raw_labels]
    unread = {code for code, dx in zip(raw_labels, read, strict=True) if dx is None}
    if unread:
        raise UserError(f"{path}: labels that are not diagnoses: {name_some(sorted(unread), 5)}; correct them")
    differ = np.array(read) != truth
    if differ.mean() > 1 - _AGREEING:
        raise UserError(
            f"{path}: labels contradict the archive at {differ.sum():,} of {len(ids):,} images "
            f"({name_some(ids[differ], 3)}); correct them or the class table"
        )
    return tuple(ids[differ].tolist())


def _probabilities(path: Path, ids: np.ndarray, values: np.ndarray, logits: bool) -> np.ndarray:
    lacking = ~np.isfinite(values).all(axis=1)
    if lacking.any():
        raise UserError(f"{path}: a score is missing or infinite at {name_some(ids[lacking], 5)}; complete it")
    if logits:
        return np.asarray(softmax(values, axis=1))
    sums = values.sum(axis=1)
    outside = ((values < -_ROUNDING) | (values > 1 + _ROUNDING)).any(axis=1)
    if outside.any():
        if (values >= 0).all() and (np.abs(sums - 100) < 1).all():
            raise UserError(f"{path}: scores are percentages (rows sum to 100); divide them by 100")
        images = name_some(ids[outside], 3)
        raise UserError(f"{path}: scores outside 0 to 1 at {images}; if they are logits, add --logits")
    wrong = np.abs(sums - 1) > _ROUNDING
    if wrong.any():
        raise UserError(f"{path}: scores do not sum to one at {name_some(ids[wrong], 5)}; correct them")
    clipped = np.clip(values, 0, None)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))
