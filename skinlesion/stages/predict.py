"""predict: photographs from anywhere, a chunk at a time; a file that cannot be read is reported and skipped."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinlesion.data.decode import decode
from skinlesion.data.sources.images import MOST_BYTES, SUFFIXES
from skinlesion.data.store import cores
from skinlesion.errors import UserError, choices
from skinlesion.files import read_csv
from skinlesion.interpret.neighbours import Neighbours
from skinlesion.params import Params, PrepareParams
from skinlesion.stages.best import best_by_validation
from skinlesion.stages.predictor import Predictor
from skinlesion.stages.workspace import Workspace
from skinlesion.training.memory import keep_freed_memory
from skinlesion.vocabulary import CLASSES, LOCALIZATIONS, PROBABILITY_COLUMNS, SEXES, UNKNOWN

Overlay = Callable[[Path, np.ndarray, pd.DataFrame], None]

#: Images a step: as many as are decoded ahead while the model works.
CHUNK = 32


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

    def load(path: Path) -> np.ndarray | UserError:
        try:
            return read_image(path, prepare)
        except UserError as error:
            return error

    # A GPU leaves the processor free to decode ahead. On a CPU decoding and the model want the same cores, and taking
    # turns is faster than sharing them.
    ahead = 0 if predictor.inputs.device.type == "cpu" else 1
    with ThreadPoolExecutor(cores(), thread_name_prefix="decode") as pool:
        waiting: deque[list[Future[np.ndarray | UserError]]] = deque()
        for place, chunk in enumerate(chunks):
            for upcoming in chunks[place + len(waiting) : place + 1 + ahead]:
                waiting.append([pool.submit(load, path) for path in upcoming])
            loaded = [one.result() for one in waiting.popleft()]
            yield from _rows(predictor, chunk, loaded, record, table, neighbours, overlay)


def _rows(
    predictor: Predictor,
    files: Sequence[Path],
    loaded: Sequence[np.ndarray | UserError],
    record: Record,
    table: pd.DataFrame | None,
    neighbours: Neighbours | None,
    overlay: Overlay | None,
) -> Iterator[dict[str, Any]]:
    good = [place for place, one in enumerate(loaded) if isinstance(one, np.ndarray)]
    made: dict[int, dict[str, Any]] = {}
    if good:
        images = np.stack([np.asarray(loaded[place]) for place in good])
        known = _metadata([files[place] for place in good], record, table)
        answers = predictor.answer(images, known)
        unlike = None if neighbours is None else neighbours.percentile(predictor.pooled(images))
        for row, place in enumerate(good):
            p = answers.probabilities[row]
            if overlay is not None:
                overlay(files[place], images[row], known.iloc[[row]])
            made[place] = {
                "file": str(files[place]),
                "answer": CLASSES[int(p.argmax())],
                **{name: float(value) for name, value in zip(PROBABILITY_COLUMNS, p, strict=True)},
                "malignant": float(answers.malignant[row]),
                "set": None if answers.sets is None else [CLASSES[one] for one in np.flatnonzero(answers.sets[row])],
                "called": {rule: bool(called[row]) for rule, called in answers.calls.items()},
                "unlike": None if unlike is None else float(unlike[row]),
                "error": "",
            }
    for place, path in enumerate(files):
        yield made.get(place) or {"file": str(path), "error": str(loaded[place])}


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
