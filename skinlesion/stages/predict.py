"""predict: photographs from anywhere, a chunk at a time; a file that cannot be read is reported and skipped."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.decode import decode
from skinlesion.data.sources.images import MOST_BYTES, SUFFIXES
from skinlesion.errors import UserError, choices
from skinlesion.files import read_csv
from skinlesion.interpret.neighbours import Neighbours
from skinlesion.params import Params, PrepareParams
from skinlesion.stages.best import best_by_validation
from skinlesion.stages.parallel import in_parallel
from skinlesion.stages.predictor import Predictor
from skinlesion.stages.workspace import Workspace
from skinlesion.training.memory import keep_freed_memory
from skinlesion.vocabulary import CLASSES, LOCALIZATIONS, PROBABILITY_COLUMNS, SEXES, UNKNOWN

Overlay = Callable[[Path, np.ndarray, pd.DataFrame], None]

#: Images a step: on a CPU 16 to 48 are equally fast and 8 a third slower.
CHUNK = 16


@dataclass(frozen=True)
class Record:
    """What is known of the patient; None where nothing is."""

    age: float | None = None
    sex: str | None = None
    localization: str | None = None

    def checked(self) -> "Record":
        """Return itself.

        Raises:
            UserError: an age outside 0 to 120, or a sex or site that is not in the vocabulary.
        """
        if self.age is not None and not 0 <= self.age <= 120:
            raise UserError(f"--age {self.age:g}: outside 0 to 120 years")
        for name, value, known in (("sex", self.sex, SEXES), ("localization", self.localization, LOCALIZATIONS)):
            if value is not None and value not in (*known, UNKNOWN):
                raise UserError(f"--{name} {value}: not known; {choices(known, value)}")
        return self

    @property
    def empty(self) -> bool:
        return self == Record()


def choose_experiment(params: Params, workspace: Workspace, name: str | None, *, metadata: bool) -> str:
    """Return the experiment to predict with: `name`, or the best by validation, with metadata where some are given.

    Raises:
        UserError: nothing to choose from was evaluated.
    """
    if name is not None:
        params.experiment(name)
        return name
    best = best_by_validation(params, workspace, evaluated=True)
    if not best:
        raise UserError("no experiment was evaluated yet; run `dvc repro`, or give --experiment NAME")
    wanted = "multimodal" if metadata else "image only"
    return best.get(wanted) or next(iter(best.values()))


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Return files as they are, and the images below folders, sorted.

    Raises:
        UserError: a path that does not exist, or no image at all.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"{path}: no such file or folder")
    if not found:
        raise UserError(f"{', '.join(map(str, paths))}: no image below ({', '.join(sorted(SUFFIXES))})")
    return found


def read_image(path: Path, settings: PrepareParams) -> np.ndarray:
    """Return a photograph (S, S, 3) uint8 as `prepare` would store it.

    Raises:
        UserError: too large, or not an image that can be read; the message says why.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: larger than {MOST_BYTES / 1e6:.0f} MB")
        return decode(path.read_bytes(), settings).pixels
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable image ({' '.join(str(error).split())})") from None


def read_records(path: Path) -> pd.DataFrame:
    """Return a table of `image_id` (a file's name without ending) and any of age, sex, localization, checked.

    Raises:
        UserError: no such file or no `image_id`, an id twice, or a value out of the vocabulary.
    """
    table = read_csv(path, ("image_id",), "give a table of image_id, age, sex, localization", dtype={"image_id": str})
    if table["image_id"].duplicated().any():
        raise UserError(f"{path}: {table.loc[table['image_id'].duplicated(), 'image_id'].iloc[0]} is listed twice")
    made = pd.DataFrame({
        "age": pd.to_numeric(table["age"], errors="coerce") if "age" in table else np.nan,
        "sex": table["sex"].fillna(UNKNOWN) if "sex" in table else UNKNOWN,
        "localization": table["localization"].fillna(UNKNOWN) if "localization" in table else UNKNOWN,
    })  # fmt: skip
    made.index = pd.Index(table["image_id"])
    for image_id, row in made.iterrows():
        try:
            Record(None if np.isnan(row["age"]) else row["age"], row["sex"], row["localization"]).checked()
        except UserError as error:
            raise UserError(f"{path}: {image_id}: {str(error).removeprefix('--')}") from None
    return made


def predict(
    predictor: Predictor,
    files: Sequence[Path],
    prepare: PrepareParams,
    record: Record,
    table: pd.DataFrame | None = None,
    neighbours: Neighbours | None = None,
    overlay: Overlay | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one row a file, in order: `file, answer, p_…, malignant, set, called, unlike, error`.

    Args:
        record: what is known of the patient of every file that `table` does not list.
        table: of `read_records`.
        neighbours: of the training images; without it `unlike` is None.
        overlay: called with each file, its pixels and its record, to draw where the model looks.
    """
    keep_freed_memory()
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]

    def answer(chunk: Sequence[Path]) -> Chunk:
        return _answer(predictor, chunk, prepare, _metadata(chunk, record, table), neighbours)

    for chunk in in_parallel(answer, chunks):
        for place, row in enumerate(chunk.rows):
            if overlay is not None and not row["error"]:  # here, because maps hook into a model that threads share
                overlay(chunk.files[place], chunk.images[place], chunk.known.iloc[[place]])
            yield row


@dataclass(frozen=True)
class Chunk:
    """Some photographs, what is known of them, and the rows of `predict`."""

    files: Sequence[Path]
    known: pd.DataFrame
    images: dict[int, np.ndarray]  # place in `files` → pixels (S, S, 3) uint8, of those that could be read
    rows: list[dict[str, Any]]


def _answer(
    predictor: Predictor,
    files: Sequence[Path],
    prepare: PrepareParams,
    known: pd.DataFrame,
    neighbours: Neighbours | None,
) -> Chunk:
    images: dict[int, np.ndarray] = {}
    rows: list[dict[str, Any]] = [{} for _ in files]
    for place, path in enumerate(files):
        try:
            images[place] = read_image(path, prepare)
        except UserError as error:
            rows[place] = {"file": str(path), "error": str(error)}
    if images:
        good, pixels = list(images), np.stack(list(images.values()))
        answers = predictor.answer(pixels, known.iloc[good])
        unlike = None if neighbours is None else neighbours.percentile(predictor.pooled(pixels))
        for row, place in enumerate(good):
            p = answers.probabilities[row]
            rows[place] = {
                "file": str(files[place]),
                "answer": CLASSES[int(p.argmax())],
                **{name: float(value) for name, value in zip(PROBABILITY_COLUMNS, p, strict=True)},
                "malignant": float(answers.malignant[row]),
                "set": None if answers.sets is None else [CLASSES[one] for one in np.flatnonzero(answers.sets[row])],
                "called": {rule: bool(called[row]) for rule, called in answers.calls.items()},
                "unlike": None if unlike is None else float(unlike[row]),
                "error": "",
            }
    return Chunk(files, known, images, rows)


def _metadata(files: Sequence[Path], record: Record, table: pd.DataFrame | None) -> pd.DataFrame:
    """Return age, sex and localization of some files, missing where nothing is known."""
    rows = []
    for path in files:
        if table is not None and path.stem in table.index:
            rows.append(table.loc[path.stem, ["age", "sex", "localization"]].to_dict())
        else:
            rows.append({
                "age": np.nan if record.age is None else record.age,
                "sex": record.sex or UNKNOWN,
                "localization": record.localization or UNKNOWN,
            })  # fmt: skip
    return pd.DataFrame(rows)
