"""Does metadata help? One page of sentences and tables, written from effect.csv and label_noise.csv."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from skinlesion.analysis.columns import RECIPE
from skinlesion.analysis.effect.confounding import CONFIRMED, STANDARDISED
from skinlesion.evaluation.approximations import FEW_FOR_AUC, FEW_FOR_CLASS, FEW_FOR_MEAN
from skinlesion.evaluation.registry import title_of
from skinlesion.numbers import MISSING, count, is_missing, limits, number, percent, plain, row_interval
from skinlesion.report.templates import render_text
from skinlesion.results.controls import controls_of
from skinlesion.results.reader import Results
from skinlesion.vocabulary import CLASS_NAMES, CLASSES

_PRIMARY = "balanced_accuracy"
#: The rate of wrong labels that the answer names.
_RATE = 0.05

#: Where the intervals of these tables are known to miss their level; rows carry no caution of their own.
APPROXIMATE = (
    f"Intervals are approximate for means over classes if one class has fewer than {FEW_FOR_MEAN} lesions, for single "
    f"classes with fewer than {FEW_FOR_CLASS} (AUCs of one model: {FEW_FOR_AUC}), and where the standard deviation "
    "between trainings is more than twice that between lesions; benchmarks/validity.md gives their coverage."
)


def effect_page(results: Results) -> str:
    """Return metadata.md: the answer in sentences, the tables behind it, and what it does not know.

    Raises:
        UserError: `skinlesion effect` has not written its tables.
    """
    params = results.params
    name = params.effect.multimodal
    controls = None if name is None else controls_of(params, name)
    if controls is None:
        return render_text("effect.md.j2", synthetic=results.synthetic, tables=[])
    answers = Answers(results.effect_table, results.label_noise)
    return render_text(
        "effect.md.j2",
        synthetic=results.synthetic,
        ham10000=results.prepared["source"] == "ham10000",
        name=name,
        twin=controls.arms[0],
        sentences=effect_answer(results),
        tables=effect_tables(answers),
        confidence=percent(params.stats.confidence, None),
        approximate=APPROXIMATE,
    )


def effect_answer(results: Results) -> list[str]:
    """Return the sentences of metadata.md alone; none where no question is asked."""
    name = results.params.effect.multimodal
    if name is None or controls_of(results.params, name) is None:
        return []
    return effect_sentences(results, Answers(results.effect_table, results.label_noise))


@dataclass(frozen=True)
class EffectTable:
    """A table of the page: its heading, a note, and cells per row."""

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]


def effect_tables(answers: "Answers") -> list[EffectTable]:
    """Return a table per question that was asked: a row per group, a column per metric."""
    tables = []
    for question, (title, note) in _TABLES.items():
        rows = answers.table[answers.table["question"] == question]
        if len(rows):
            tables.append(_table(title, note, rows, signed=question != "model"))
    return tables + ([_noise_table(answers.noise)] if len(answers.noise) else [])


#: Question → heading and note of its table.
_TABLES = {
    "model": ("The two models", "Means over trainings."),
    "gain": ("The gain", "With metadata minus without."),
    "placebo": (
        "Placebo",
        "A placebo is the same model trained and tested with the record of another training lesion: what it gains over "
        "the image alone is not information about the patient.",
    ),
    "class": ("By class", "The gain in each class's sensitivity and one-vs-rest AUC."),
    "part of the gain": (
        "Parts of the gain",
        "A class's part of the gain in balanced accuracy: its gain in sensitivity over the number of classes. "
        "Malignant are akiec, bcc and mel.",
    ),
    "leak": (
        "Split by image",
        "The split by image minus the split by lesion, for either arm, and the difference of the two: how the leak "
        "changes the gain. Both splits test all images, each in other folds.",
    ),
    "injection": (
        "Images of tested lesions in training",
        "The same test images (one of each lesion with several) and as many training images of every class, of which "
        "some show the tested lesions; equal epochs. Against none of them.",
    ),
    "source": (
        "Source of the images",
        "The gain within each source, among diagnoses that histology confirmed, and with every class weighted to the "
        "same mix of sources. A class with fewer than five lesions in a view is left out of it.",
    ),
    "effort": (
        "Equal effort",
        "Both arms are tuned over the same grid of learning rates and weight decays, on each run's validation part.",
    ),
}


class Answers:
    """The rows of effect.csv and label_noise.csv as sentences name them; the metric is balanced accuracy by default."""

    def __init__(self, table: pd.DataFrame, noise: pd.DataFrame) -> None:
        self.table, self.noise = table, noise
        rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
        self._rows = {(row["question"], row["group"], row["metric"]): row for row in rows}

    def row(self, question: str, group: str, metric: str = _PRIMARY) -> dict[str, Any] | None:
        """Return a row, None where the question was not asked."""
        return self._rows.get((question, group, metric))

    def text(self, question: str, group: str, metric: str = _PRIMARY) -> str:
        """Return a difference with its interval."""
        row = self.row(question, group, metric)
        return MISSING if row is None else row_interval(row, signed=True)

    def value(self, question: str, group: str) -> str:
        """Return a value alone."""
        return number((self.row(question, group) or {}).get("value"))

    def above(self, question: str, group: str) -> bool:
        """Return whether the interval lies above 0."""
        row = self.row(question, group)
        return row is not None and bool(row["low"] > 0)

    def verb(self, question: str, group: str, margin: float | None = None) -> str:
        """Return what a gain's interval says of metadata, and where it helps or hurts whether by more than a margin."""
        row = self._rows[question, group, _PRIMARY]
        if is_missing(row["low"]):
            return f"is not judged: {row['note']}"
        if row["low"] <= 0 <= row["high"]:
            return "is not shown to help or to hurt"
        verb = "helps" if row["low"] > 0 else "hurts"
        if margin is None:
            return verb
        beyond = min(abs(row["low"]), abs(row["high"])) > margin
        return (
            f"{verb}{' by more than' if beyond else ', by an amount not shown to exceed'} the margin of {plain(margin)}"
        )

    def over(self, question: str, group: str) -> str:
        """Return what a row's interval allows for."""
        row = self._rows[question, group, _PRIMARY]
        what = "lesions and trainings" if row["about"] == RECIPE else "lesions, for these trained models"
        return f"{what}: {row['trainings']}"

    @property
    def largest_class(self) -> str:
        """Return the class with the largest part of the gain."""
        parts = {name: self.row("part of the gain", name) for name in CLASSES}
        return max((name for name in CLASSES if parts[name]), key=lambda name: (parts[name] or {})["value"])

    @property
    def most_injected(self) -> str:
        """Return the largest dose as groups name it: "up to 3"; empty without doses."""
        doses = self.table.loc[self.table["question"] == "injection", "group"]
        return str(doses.iloc[-1]).rpartition(", ")[2] if len(doses) else ""

    @property
    def wrong_labels(self) -> str:
        """Return the range of the gain under wrong labels at _RATE; empty where it was not computed."""
        rows = self.noise[(self.noise["b"] != "") & (self.noise["metric"] == _PRIMARY) & (self.noise["rate"] == _RATE)]
        return limits(rows["low"].iloc[0], rows["high"].iloc[0], signed=True) if len(rows) else ""


def effect_sentences(results: Results, answers: Answers) -> list[str]:
    """Return the answer in at most six sentences, each on questions that were asked."""
    name = results.params.effect.multimodal
    controls = None if name is None else controls_of(results.params, name)
    if controls is None:
        return []
    image, multimodal = controls.arms
    text = render_text(
        "effect_answer.j2",
        a=answers,
        image=image,
        multimodal=multimodal,
        own=f"{multimodal} against its placebo",
        exchanged=f"{controls.placebo} against the image alone",
        standardised=STANDARDISED,
        confirmed=CONFIRMED,
        class_names=CLASS_NAMES,
        rate=_RATE,
        margin=results.params.stats.margins.get(_PRIMARY),
    )
    return [line for line in text.splitlines() if line.strip()]


def _table(title: str, note: str, rows: pd.DataFrame, *, signed: bool) -> EffectTable:
    metrics = list(dict.fromkeys(rows["metric"]))
    by_group: dict[str, dict[str, str]] = {}
    sizes: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        by_group.setdefault(row["group"], {})[row["metric"]] = row_interval(row, signed=signed)
        sizes[row["group"]] = [count(row["images"]), count(row["lesions"]), row["classes"]]
    by_view = len({tuple(size) for size in sizes.values()}) > 1
    header = ["", *(title_of(metric) for metric in metrics), *(["images", "lesions", "classes"] if by_view else [])]
    cells = [
        [group, *(values.get(metric, MISSING) for metric in metrics), *(sizes[group] if by_view else [])]
        for group, values in by_group.items()
    ]
    return EffectTable(title, note, header, cells)


def _noise_table(noise: pd.DataFrame) -> EffectTable:
    rows = [
        [percent(row["rate"]), (row["b"] and f"{row['b']} − {row['a']}") or row["a"], title_of(row["metric"]),
         number(row["as_labelled"]), number(row["mean"]), limits(row["low"], row["high"])]
        for row in noise.to_dict("records")
    ]  # fmt: skip
    return EffectTable(
        "Wrong labels",
        "Labels not confirmed by histology are changed at random, lesion by lesion, at the given rate, to diagnoses "
        "that look similar. The range covers 95% of the draws; it is not a confidence interval.",
        ["rate", "of", "metric", "as labelled", "mean", "range"],
        rows,
    )
