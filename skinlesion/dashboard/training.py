"""The Training page: losses and accuracies by epoch and phase, and what each phase gained; two experiments beside."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from skinlesion.dashboard import address, charts
from skinlesion.dashboard.shared import choose, part, show_figures
from skinlesion.numbers import count, number
from skinlesion.results.reader import Results
from skinlesion.training.phases import FINE_TUNING, HEAD

_TITLES = {HEAD: "Frozen backbone: the head alone is trained", FINE_TUNING: "Fine-tuning: the backbone is trained too"}
_NAMES = {HEAD: "the frozen phase", FINE_TUNING: "fine-tuning"}
_ALONE = "none"

_BALANCED = "validation_balanced_accuracy"
#: Columns of history.csv → what their curves are called. Validation accuracy is written where training monitors it.
_ACCURACIES = {
    "train_accuracy": "training: accuracy",
    "validation_accuracy": "validation: accuracy",
    _BALANCED: "validation: balanced accuracy",
}
_LOSSES = {"train_loss": "training", "validation_loss": "validation"}


@dataclass(frozen=True)
class Phase:
    """The curves of one phase, mean over runs: the rows of history.csv with `epoch`, counted from 1 within it."""

    name: str
    rows: pd.DataFrame

    @property
    def title(self) -> str:
        return _TITLES.get(self.name, self.name.replace("_", " "))

    @property
    def words(self) -> str:
        return _NAMES.get(self.name, self.name.replace("_", " "))

    @property
    def epochs(self) -> int:
        """Return the epochs of the longest run."""
        return len(self.rows)

    def first(self, column: str) -> float | None:
        return float(self.rows[column].iloc[0]) if column in self.rows else None

    def last(self, column: str) -> float | None:
        return float(self.rows[column].iloc[-1]) if column in self.rows else None

    def best(self, column: str) -> float | None:
        return float(self.rows[column].max()) if column in self.rows else None

    def best_epoch(self, column: str) -> int:
        """Return the epoch in which a column is highest."""
        return int(self.rows["epoch"].iloc[int(self.rows[column].to_numpy().argmax())])


def show(results: Results) -> None:
    """Draw the page."""
    st.header("Training")
    trained = list(results.params.experiments)
    left, right = st.columns(2)
    with left:
        name = choose("Experiment", results, among=trained)
    if name is None:
        return
    others = [other for other in results.evaluated() if other in trained and other != name]
    with right:
        other = address.select("other", "Beside it", [_ALONE, *others], _ALONE)
    if other == _ALONE:
        address.drop("other")
    names = [name] if other == _ALONE else [name, other]
    for column, experiment in zip(st.columns(len(names)), names, strict=True):
        with column, part(results, experiment):
            _curves(results, experiment, wide=len(names) == 1)


def _curves(results: Results, name: str, *, wide: bool) -> None:
    history = results.history(name)
    phases = phases_of(history)
    for sentence in gains(phases):
        st.markdown(sentence)
    for phase in phases:
        st.markdown(f"#### {phase.title}")
        _figures(phase)
        places = st.columns(2) if wide else (st.container(), st.container())
        with places[0]:
            _chart(phase, _ACCURACIES, "Accuracy", (0, 1))
        with places[1]:
            _chart(phase, _LOSSES, "Loss", None)
    st.caption(
        f"{count(history['runs'].max(), 'run')}; curves are means over those that got as far. Training accuracy is of "
        "training images as they were shown, augmented and with dropout; ensembles are not trained, their members are."
    )


def phases_of(history: pd.DataFrame) -> list[Phase]:
    """Return the phases of history.csv, in order."""
    phases = []
    for name in dict.fromkeys(history["phase"]):
        rows = history[history["phase"] == name]
        phases.append(Phase(str(name), rows.assign(epoch=rows["step"] - rows["step"].min() + 1)))
    return phases


def gains(phases: list[Phase]) -> list[str]:
    """Return in words what each phase gained in validation balanced accuracy, and all of them together."""
    measured = [phase for phase in phases if phase.best(_BALANCED) is not None]
    sentences = []
    for place, phase in enumerate(measured):
        first, best = phase.first(_BALANCED), phase.best(_BALANCED)
        assert first is not None
        assert best is not None
        sentence = (
            f"In {phase.words} the validation balanced accuracy goes from {number(first)} (epoch 1) to {number(best)} "
            f"(the best, epoch {phase.best_epoch(_BALANCED)}): {number(best - first, signed=True)}."
        )
        before = measured[place - 1].best(_BALANCED) if place else None
        if before is not None:
            sentence += f" Against the best of {measured[place - 1].words} it is {number(best - before, signed=True)}."
        sentences.append(sentence)
    if len(measured) > 1:
        first = measured[0].first(_BALANCED)
        best = max(value for phase in measured if (value := phase.best(_BALANCED)) is not None)
        assert first is not None
        sentences.append(f"Overall: from {number(first)} to {number(best)}, {number(best - first, signed=True)}.")
    return sentences


def _figures(phase: Phase) -> None:
    show_figures([
        ("Epochs", count(phase.epochs), "of the longest run"),
        ("Best validation", number(phase.best(_BALANCED)), "balanced accuracy"),
        ("Last training", number(phase.last("train_accuracy")), "accuracy"),
    ])  # fmt: skip


def _chart(phase: Phase, columns: dict[str, str], title: str, domain: tuple[float, float] | None) -> None:
    table = charts.melted(phase.rows, columns, "epoch", title)
    if len(table):
        st.altair_chart(
            charts.lines(table, "epoch", title, "series", y_title=title, domain=domain, whole=True), width="stretch"
        )
