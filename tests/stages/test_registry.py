"""The registry of published results: figures follow from counts, and any other digit is noticed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from skinlesion.analysis.published_results import FOLDER, PROJECTS_NAME, read_entries
from skinlesion.errors import UserError
from skinlesion.stages.registry import registry
from skinlesion.vocabulary import CLASSES

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.name != PROJECTS_NAME)
#: Of these every digit is edited, of the others the last of each line: a parser of YAML takes its time.
_EVERY_DIGIT = ("p1", "p3_image")
#: A digit of a count or of a figure; not of a title, a note, a source, or of what is not recomputed.
_CHECKED = re.compile(r"^  (?:[a-z0-9_]+): (?P<value>.*)$", re.MULTILINE)


def test_there_are_entries_and_all_figures_follow_from_their_counts():
    entries = registry()
    assert len(entries) >= 12
    assert [entry.name for entry in entries] == NAMES
    for entry in entries:
        assert entry.wrong == ()
        low, high = entry.intervals["accuracy"]
        assert low < entry.values["accuracy"] < high


@pytest.mark.parametrize("name", NAMES)
def test_an_edited_digit_of_a_count_or_a_figure_is_noticed(name, tmp_path):
    text = (FOLDER / f"{name}.yaml").read_text()
    checked = text.partition("not_recomputed:")[0]
    places = []
    for match in _CHECKED.finditer(checked):
        value = match["value"]
        end = value.find("recomputed:") if "published:" in value else None
        skipped = range(value.find("published:"), end) if end else range(0)  # compared with examples/retest below
        digits = [
            match.start("value") + place
            for place, letter in enumerate(value)
            if letter.isdigit() and place not in skipped
        ]
        places += digits if name in _EVERY_DIGIT else digits[-1:]
    assert len(places) > 10
    path = tmp_path / f"{name}.yaml"
    for place in places:
        digit = str((int(text[place]) + 1) % 10)
        path.write_text(text[:place] + digit + text[place + 1 :])
        try:
            registry(tmp_path)
        except UserError:
            continue
        pytest.fail(f"not noticed: {digit} at {text[:place].count(chr(10)) + 1}: {text[place - 20 : place + 20]!r}")


def test_figures_of_foundation_models_are_those_of_the_retest():
    summary = json.loads((Path(__file__).parents[2] / "examples" / "retest" / "retest.json").read_text())
    figures = {(row["model"], row["metric"]): row for row in summary["figures"]}
    names = [name for name in NAMES if name.startswith("dermfm_")]
    published = [row["model"] for row in summary["models"] if not row["model"].startswith("ours: ")]
    assert len(names) == len(published)
    models = {re.sub(r"[^a-z0-9]+", "_", model.removesuffix("_HAM").lower()): model for model in published}
    for entry in (checked for checked in read_entries() if checked.name in names):
        model = models[entry.name.removeprefix("dermfm_")]
        stated = {
            name: figure if isinstance(figure, str) else figure.published
            for name, figure in entry.entry.figures.items()
        }
        for metric, digits in (stated | entry.entry.not_recomputed).items():
            assert float(digits) == figures[model, metric]["published"], (entry.name, metric)
        for metric, value in entry.values.items():
            if (model, metric) in figures:
                assert value == pytest.approx(figures[model, metric]["recomputed"])


def test_values_are_those_of_scikit_learn():
    entry = next(entry for entry in read_entries() if entry.name == "p1")
    matrix = np.array([entry.entry.confusion[dx] for dx in CLASSES])
    labels, answers = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices(matrix.shape))
    assert entry.values["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, answers))
    assert entry.values["macro_f1"] == pytest.approx(f1_score(labels, answers, average="macro"))
    assert entry.values["weighted_f1"] == pytest.approx(f1_score(labels, answers, average="weighted"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("akiec:", "ak:", "classes are not akiec"),
        ("split:", "splits: x\nsplit:", "splits"),
        ("unit: image", "unit: person", "split.unit"),
        ("figures:", "by_class: {}\nfigures:", "confusion or by_class, one of them"),
        ('accuracy: "0.7464"', "accuracy: 0.7464", "figures.accuracy"),
        ('macro_f1: "0.5921"', 'macro_auc: "0.5921"', "macro_auc: not a figure that counts give"),
        ("title:", "title: [", "not YAML"),
    ],
)
def test_what_is_no_entry_is_refused(old, new, words, tmp_path):
    text = (FOLDER / "p1.yaml").read_text()
    assert old in text
    (tmp_path / "p1.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as raised:
        registry(tmp_path)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_names_and_folders_that_are_not_there(tmp_path):
    assert [entry.name for entry in registry(name="p1")] == ["p1"]
    with pytest.raises(UserError, match="did you mean p1i"):
        registry(name="p1_i")
    with pytest.raises(UserError, match="holds no entry"):
        registry(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        registry(tmp_path / "none")
