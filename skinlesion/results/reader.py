"""Reader of all results in a workspace; an error names the command that writes a missing file.

The report, model cards, dashboard, `verify` and `track` take what they show from here.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from skinlesion import choices
from skinlesion.analysis.columns import CLAIM_COLUMNS, COMPARISON_COLUMNS
from skinlesion.analysis.effect.contrasts import EFFECT_COLUMNS
from skinlesion.analysis.effect.label_noise import COLUMNS as LABEL_NOISE_COLUMNS
from skinlesion.data.frames import SquareImages
from skinlesion.data.metadata import METADATA_NAME, read_metadata
from skinlesion.data.store import (
    FILES_NAME,
    IMAGES_NAME,
    PREPARED_NAME,
    Prepared,
    check_same_images,
    open_squares,
    read_files,
    read_prepared,
)
from skinlesion.errors import UserError
from skinlesion.evaluation.metrics import confusion_matrix
from skinlesion.evaluation.predictions import Predictions, read_predictions, read_validation
from skinlesion.params import Params
from skinlesion.params_file import load_params
from skinlesion.reading import check_choices, check_numbers, check_readable, check_words, fitting, read_csv, read_json
from skinlesion.results import names
from skinlesion.results.selection import best_of_each_kind, mean_balanced_accuracy
from skinlesion.results.shapes import (
    FIGURES,
    AssessmentNotes,
    Audit,
    EnsembleNotes,
    ExternalNotes,
    Figures,
    RunNotes,
    Split,
    Statistics,
)
from skinlesion.results.system import SystemResult
from skinlesion.results.workspace import Workspace, evaluate_command

Content = TypeVar("Content")

_PREPARE = "run `skinlesion prepare` first"
_STATS = "run `skinlesion stats` first"
_METADATA = "run `skinlesion metadata` first"
_EFFECT = "run `skinlesion effect` first"
_AUDIT = "run `skinlesion audit` first"
_PAIR_TEXT = ("first", "second", "first_lesion", "second_lesion")
_OVERLAP_TEXT = ("external", "image_id", "training_image_id")
_SHORTCUT_COLUMNS = ("predictor", "balanced_accuracy", "macro_auc")
_SUBGROUP_COLUMNS = (
    "column", "group", "images", "lesions", "metric", "value", "low", "high", "rest", "p_adjusted", "worst", "note",
)  # fmt: skip
_EXPLAIN = "run `skinlesion explain` first"

_OFTEN_EMPTY = ("verdict", "family", "adjustment", "caution", "source")
#: Tables of reports/stats and the columns that their readers rely on.
_STATISTICS_COLUMNS = {
    "comparisons": COMPARISON_COLUMNS,
    "own_rules": COMPARISON_COLUMNS,
    "claims": CLAIM_COLUMNS,
    "external": ("a", "b", "external", "metric", "difference", "low_adjusted", "high_adjusted", "verdict"),
    "flips": ("a", "b", "dx", "lost", "gained"),
    "variance": ("a", "b", "difference", "low", "high", "seed", "fold", "lesion", "seeds", "seeds_needed"),
    "detectable": ("a", "b", "dx", "lesions", "detectable"),
}


class Results:
    """A workspace as its readers see it. A file that is missing raises UserError with the command that makes it.

    Files are read when they are first asked for and kept; one that has changed since is read again, but `best` is
    chosen once. What is returned is shared between callers: nobody changes it in place.
    """

    def __init__(self, params: Params, workspace: Workspace) -> None:
        self.params, self.workspace = params, workspace
        self._kept: dict[Path, tuple[tuple[int, int], Any]] = {}

    @classmethod
    def open(cls, path: Path) -> "Results":
        """Return the results of the workspace that a params.yaml belongs to.

        Raises:
            UserError: params.yaml is missing or wrong.
        """
        file = path.resolve()
        return cls(load_params(path), Workspace(file.parent, file.name))

    # The data set

    @property
    def prepared(self) -> Prepared:
        """Return prepared.json: source, counts and checksums of the prepared images."""
        return self._keep(self.workspace.prepared / PREPARED_NAME, lambda path: read_prepared(path.parent), _PREPARE)

    @property
    def synthetic(self) -> bool:
        """Return whether the data are synthetic; False where nothing is prepared."""
        return bool((self.workspace.prepared / PREPARED_NAME).exists() and self.prepared["synthetic"])

    @property
    def metadata(self) -> pd.DataFrame:
        """Return the prepared table, one row per image."""
        return self._indexed_metadata[0]

    def photograph(self, image_id: str) -> np.ndarray:
        """Return the centre (S, S, 3) uint8 of a prepared image."""

        def read(path: Path) -> np.ndarray | SquareImages:
            check_same_images(path.parent, self.metadata, read_files(path.parent / FILES_NAME))
            return open_squares(path.parent, "crop")

        images = self._keep(self.workspace.prepared / IMAGES_NAME, read, _PREPARE)
        return np.asarray(images[self._indexed_metadata[1][image_id]])

    @property
    def _indexed_metadata(self) -> tuple[pd.DataFrame, dict[str, int]]:
        """Return the prepared table, and the row of each image id in it."""

        def read(path: Path) -> tuple[pd.DataFrame, dict[str, int]]:
            table = read_metadata(path)
            return table, {image_id: row for row, image_id in enumerate(table["image_id"])}

        return self._keep(self.workspace.prepared / METADATA_NAME, read, _PREPARE)

    @property
    def split(self) -> Split:
        """Return split.json, the certificate of both splits."""
        return self._json(self.workspace.reports / names.SPLIT_NAME, "run `skinlesion split` first", Split)

    @property
    def audit(self) -> Audit:
        """Return audit.json: duplicates, overlap with external data, and the rule that found them."""
        return self._json(self.workspace.audit / names.AUDIT_NAME, _AUDIT, Audit)

    @property
    def audited_pairs(self) -> pd.DataFrame:
        """Return pairs.csv: exact duplicates, near-duplicates and known pairs, one row each."""
        return self._csv(self.workspace.audit / names.PAIRS_NAME, names.PAIR_COLUMNS, _AUDIT, text=_PAIR_TEXT)

    @property
    def overlap(self) -> pd.DataFrame:
        """Return overlap.csv: images of external data sets that are also in the data set."""
        return self._csv(self.workspace.audit / names.OVERLAP_NAME, names.OVERLAP_COLUMNS, _AUDIT, text=_OVERLAP_TEXT)

    @property
    def shortcuts(self) -> pd.DataFrame:
        """Return shortcuts.csv: what predicts the diagnosis without the lesion."""
        return self._csv(self.workspace.audit / names.SHORTCUTS_NAME, _SHORTCUT_COLUMNS, _AUDIT, empty=("note",))

    # Systems: experiments and ensembles

    def evaluated(self) -> list[str]:
        """Return the names of the systems that have metrics."""
        return [name for name in self.params.systems if (self.folder(name) / names.METRICS_NAME).exists()]

    def folder(self, name: str) -> Path:
        """Return the folder that holds a system's predictions and metrics."""
        return self.workspace.system(self.params, name)

    def system(self, name: str) -> SystemResult:
        """Return the metrics and notes of one system."""
        return SystemResult(name, self.metrics(name), self.notes(name))

    @property
    def shown(self) -> list[str]:
        """Return the names of the systems that tables show together.

        Experiments with the leak injected are tested on some images only: `effect` shows them.
        """
        injected = {name for name in self.params.experiments if self.params.experiment(name).injected is not None}
        return [name for name in self.params.systems if name not in injected]

    def systems(self) -> list[SystemResult]:
        """Return the systems that tables show together, in the order of params.yaml."""
        return [self.system(name) for name in self.shown]

    def metrics(self, name: str) -> dict[str, float]:
        """Return metrics.json: flat figures, with `_low` and `_high` where they have an interval."""
        return self._figures(self.folder(name) / names.METRICS_NAME, self._evaluate(name))

    def notes(self, name: str) -> Any:
        """Return notes.json: how the metrics came about."""
        shape = EnsembleNotes if name in self.params.ensembles else RunNotes
        return self._json(self.folder(name) / names.NOTES_NAME, self._evaluate(name), shape)

    def predictions(self, name: str) -> Predictions:
        """Return predictions.csv: the test parts."""
        path = self.folder(name) / names.PREDICTIONS_NAME
        return self._keep(path, lambda path: read_predictions(path)[0], self._evaluate(name))

    def validation(self, name: str) -> Predictions:
        """Return validation.csv: the validation parts."""
        path = self.folder(name) / names.VALIDATION_NAME
        return self._keep(path, lambda path: read_validation(path)[0], self._evaluate(name))

    def confusion(self, name: str) -> np.ndarray:
        """Return counts (7, 7) over all repeats, folds and seeds: rows are the truth, columns the likeliest class."""
        tested = self.predictions(name)
        layers = tested.probabilities.argmax(axis=2)  # (L, N)
        counts: np.ndarray = np.sum([confusion_matrix(tested.labels, layer) for layer in layers], axis=0)
        return counts

    def history(self, name: str) -> pd.DataFrame:
        """Return history.csv: the training curves, mean over runs."""
        return self._csv(self.folder(name) / names.HISTORY_NAME, ("step", "phase", "runs"), self._evaluate(name))

    def roc(self, name: str) -> pd.DataFrame:
        """Return roc.csv: ROC curves of the classes, their mean, and malignancy."""
        return self._csv(self.folder(name) / names.ROC_NAME, ("false_positive_rate",), self._evaluate(name))

    def external_figures(self, name: str, external: str) -> dict[str, float]:
        """Return an experiment's figures on an external data set."""
        path = self.workspace.results(name) / names.EXTERNAL_NAME
        return Figures(self._of_external(path, name, external, FIGURES), path, self._evaluate(name))

    def external_notes(self, name: str, external: str) -> Any:
        """Return what an external data set holds and what was left out of it."""
        path = self.workspace.results(name) / names.EXTERNAL_FOLDER / names.EXTERNAL_NOTES_NAME
        return self._of_external(path, name, external, ExternalNotes)

    def _of_external(self, path: Path, name: str, external: str, shape: Any) -> Any:
        """Return one data set's part of a file; a UserError where it was added since the experiment was evaluated."""
        content = self._json(path, self._evaluate(name), dict[str, dict[str, Any]])
        if external not in content:
            raise UserError(f"{path}: holds nothing of {external}; {self._evaluate(name)}")
        return fitting(content[external], shape, f"{path}: {external}", self._evaluate(name))

    @cached_property
    def best(self) -> dict[str, str]:
        """Return the best "image only" and the best "multimodal" experiment by validation balanced accuracy, by kind.

        `results.selection` says who is considered, and what choosing by validation parts does and does not rule out.

        Raises:
            UserError: an experiment was not evaluated.
        """
        return best_of_each_kind(self.params, self.params.experiments, self._validation_balanced_accuracy)

    def best_evaluated(self) -> dict[str, str]:
        """Return the same as `best` among the experiments that were evaluated."""
        evaluated = [
            name for name in self.params.experiments if (self.workspace.results(name) / names.VALIDATION_NAME).exists()
        ]
        return best_of_each_kind(self.params, evaluated, self._validation_balanced_accuracy)

    def choose_experiment(self, name: str | None = None, *, metadata: bool) -> str:
        """Return the experiment to predict with: `name`, or the best by validation, with metadata where some are given.

        Raises:
            UserError: no such experiment, or none was evaluated.
        """
        if name is not None:
            self.params.experiment(name)
            return name
        best = self.best_evaluated()
        if not best:
            raise UserError("no experiment was evaluated yet; run `dvc repro`, or give --experiment NAME")
        return best.get("multimodal" if metadata else "image only") or next(iter(best.values()))

    def _validation_balanced_accuracy(self, name: str) -> float:
        return mean_balanced_accuracy(self.validation(name))

    # Assessments

    def is_assessed(self, name: str) -> bool:
        return (self.workspace.assessment(name) / names.ASSESSMENT_NAME).exists()

    def assessment(self, name: str) -> dict[str, float]:
        """Return assessment.json: the headline figures of calibration, conformal sets, decisions and subgroups."""
        return self._figures(self.workspace.assessment(name) / names.ASSESSMENT_NAME, _assess(name))

    def assessment_notes(self, name: str) -> AssessmentNotes:
        """Return notes.json of the assessment."""
        return self._json(self.workspace.assessment(name) / names.NOTES_NAME, _assess(name), AssessmentNotes)

    def assessment_table(self, name: str, table: str) -> pd.DataFrame:
        """Return one of the assessment's tables, such as "calibration" or "decision_curve"."""
        return self._csv(self.workspace.assessment(name) / f"{table}.csv", (), _assess(name))

    def subgroups(self, name: str) -> pd.DataFrame:
        """Return subgroups.csv; `worst` and `note` are empty text where they say nothing."""
        return self._csv(
            self.workspace.assessment(name) / "subgroups.csv", _SUBGROUP_COLUMNS, _assess(name),
            text=("group", "metric", "worst", "note"), empty=("worst", "note"),
        )  # fmt: skip

    @property
    def metadata_value(self) -> dict[str, dict[str, float]]:
        """Return metadata.json: what metadata adds to each multimodal experiment."""
        path = self.workspace.metadata_value / names.METADATA_VALUE_NAME
        content = self._json(path, _METADATA, dict[str, FIGURES])
        return {name: Figures(figures, path, _METADATA) for name, figures in content.items()}

    def metadata_table(self, table: str) -> pd.DataFrame:
        """Return "missing", "shapley" or "shapley_classes", one row per experiment and figure."""
        return self._csv(self.workspace.metadata_value / f"{table}.csv", ("experiment",), _METADATA)

    @property
    def effect_table(self) -> pd.DataFrame:
        """Return effect.csv: whether metadata helps, one row per question, group and metric."""
        path = self.workspace.effect / f"{names.EFFECT_NAME}.csv"
        return self._csv(path, EFFECT_COLUMNS, _EFFECT, text=("group", "note", "classes"), empty=("note", "classes"))

    @property
    def label_noise(self) -> pd.DataFrame:
        """Return label_noise.csv: metrics and differences under wrong labels; `b` is empty for one system."""
        return self._csv(self.workspace.effect / names.LABEL_NOISE_NAME, LABEL_NOISE_COLUMNS, _EFFECT, empty=("b",))

    # Statistics

    @property
    def statistics(self) -> Statistics:
        """Return stats.json."""
        return self._json(self.workspace.statistics / names.STATISTICS_NAME, _STATS, Statistics)

    def statistics_table(self, table: str) -> pd.DataFrame:
        """Return one of the tables of reports/stats; a `verdict` not given is empty text."""
        path = self.workspace.statistics / f"{table}.csv"
        content = self._csv(path, _STATISTICS_COLUMNS[table], _STATS, text=("source",), empty=_OFTEN_EMPTY)
        check_choices(path, content, "direction", choices.names(choices.Direction), _STATS)
        return content

    # Explanations

    @property
    def explanations(self) -> dict[str, dict[str, float]]:
        """Return explanation.json: figures of the explained experiments."""
        return self._json(self.workspace.explanations / names.EXPLANATION_NAME, _EXPLAIN, dict[str, dict[str, float]])

    def map_summary(self, name: str) -> pd.DataFrame:
        """Return how an experiment's maps agree with lesion masks."""
        return self._csv(self._maps(name) / names.MAP_SUMMARY_NAME, ("part", "group", "metric"), _EXPLAIN)

    def map_answers(self, name: str) -> pd.DataFrame:
        """Return one row per explained image, indexed by its id: diagnosis, answer and probability."""
        table = self._csv(self._maps(name) / names.POINTING_NAME, ("image_id",), _EXPLAIN, text=("image_id",))
        return table.set_index("image_id")

    def map_pictures(self, name: str, kind: str) -> list[Path]:
        """Return example pictures named by image id; `kind` is right, wrong or confidently_wrong."""
        return sorted((self._maps(name) / kind).glob("*.png"))

    def _maps(self, name: str) -> Path:
        return self.workspace.explanations / names.MAPS_FOLDER / name

    def _evaluate(self, name: str) -> str:
        return evaluate_command(self.params, name)

    def _json(self, path: Path, remedy: str, shape: Any) -> Any:
        return self._keep(path, lambda path: read_json(path, remedy, shape), remedy)

    def _figures(self, path: Path, remedy: str) -> Figures:
        return self._keep(path, lambda path: Figures(read_json(path, remedy, FIGURES), path, remedy), remedy)

    def _csv(
        self,
        path: Path,
        columns: tuple[str, ...],
        remedy: str,
        *,
        text: tuple[str, ...] = (),
        empty: tuple[str, ...] = (),
    ) -> pd.DataFrame:
        """Return a table; `text` columns are read as words, missing values of `empty` columns become empty text."""

        def read(path: Path) -> pd.DataFrame:
            table = read_csv(path, columns, remedy, dtype=dict.fromkeys(text, str))
            check_words(path, table, tuple(names.NEVER_EMPTY.difference(empty, text)), remedy)
            check_numbers(path, table[sorted(names.NUMBERS.intersection(table.columns))], remedy)
            there = [name for name in empty if name in table.columns]
            return table.assign(**{name: table[name].astype(object).fillna("") for name in there})

        return self._keep(path, read, remedy)

    def _keep(self, path: Path, read: Callable[[Path], Content], remedy: str) -> Content:
        """Return what `read` makes of a file, from memory while the file stays the same."""
        check_readable(path, remedy)
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        if path not in self._kept or self._kept[path][0] != stamp:
            self._kept[path] = (stamp, read(path))
        content: Content = self._kept[path][1]
        return content


def _assess(name: str) -> str:
    return f"run `skinlesion assess {name}`"
