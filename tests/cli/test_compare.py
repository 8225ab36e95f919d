"""compare and score on files from anywhere: what they print, what they refuse, and that they agree with `stats`."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from skinlesion.analysis.columns import LINEAR_METHOD, NAIVE_METHOD
from skinlesion.stages.compare import ComparisonReport
from skinlesion.vocabulary import CLASSES, PROBABILITY_COLUMNS
from tests.conftest import ROOT

FAST = ("--replicates", "200")


def predictions(seed, strength, lesions=150):
    """Return one file's table; the lesions and diagnoses are the same for every seed."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    lesion = np.repeat(np.arange(lesions), fixed.integers(1, 4, lesions))
    labels = np.r_[np.arange(7), fixed.choice(7, lesions - 7)][lesion]
    p = np.exp(rng.normal(size=(len(lesion), 7)) + strength * np.eye(7)[labels])
    table = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=list(PROBABILITY_COLUMNS))
    table.insert(0, "dx", np.array(CLASSES)[labels])
    table.insert(0, "lesion_id", [f"L{number}" for number in lesion])
    table.insert(0, "image_id", [f"I{number:04d}" for number in range(len(lesion))])
    return table


@pytest.fixture
def folder(tmp_path):
    for name, seed, strength in (("weak", 1, 0.8), ("strong", 2, 2.5), ("third", 3, 0.8)):
        predictions(seed, strength).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def test_compare_prints_a_table_with_verdicts_and_melanomas(folder, run):
    outcome = run("compare", "weak.csv", "strong.csv", *FAST, cwd=folder)
    assert outcome.code == 0, outcome.err
    assert "strong − weak" in outcome.out
    assert "balanced accuracy: higher by more than the margin (margin 0.02)" in outcome.out
    assert "confirmatory, none, one comparison" in outcome.out
    assert "clustered by lesion" in outcome.out
    assert "permutation" in outcome.out
    assert "images taken as independent" in outcome.out
    assert "design effect" in outcome.out
    assert "melanomas gained: I0" in outcome.out


def test_json_follows_the_documented_schema_and_compares_every_pair(folder, run):
    outcome = run("compare", "weak.csv", "strong.csv", "third.csv", "--json", *FAST, cwd=folder)
    report = ComparisonReport.model_validate(json.loads(outcome.out), strict=True, extra="forbid")
    assert {(row.a, row.b) for row in report.comparisons} == {
        ("weak", "strong"),
        ("weak", "third"),
        ("strong", "third"),
    }
    flips = report.flips["weak vs strong"]
    weak, strong = (pd.read_csv(folder / f"{name}.csv") for name in ("weak", "strong"))
    right = [table[list(PROBABILITY_COLUMNS)].to_numpy().argmax(1) == 4 for table in (weak, strong)]
    mel = (weak["dx"] == "mel").to_numpy()
    assert flips["mel"].gained == list(weak["image_id"][mel & ~right[0] & right[1]])
    assert flips["mel"].lost == list(weak["image_id"][mel & right[0] & ~right[1]])


def test_the_documented_schema_is_the_one_in_use():
    assert json.loads((ROOT / "docs/compare.schema.json").read_text()) == ComparisonReport.model_json_schema()


def test_cluster_none_is_the_naive_analysis(folder, run):
    def intervals(*args):
        report = json.loads(run("compare", "weak.csv", "third.csv", "--json", *FAST, *args, cwd=folder).out)
        return {(row["metric"], row["method"]): (row["low"], row["high"]) for row in report["comparisons"]}

    clustered, naive = intervals(), intervals("--cluster", "none")
    assert naive["macro_f1", LINEAR_METHOD] == clustered["macro_f1", NAIVE_METHOD]
    assert naive["macro_f1", LINEAR_METHOD] != clustered["macro_f1", LINEAR_METHOD]


def test_options_reach_the_statistics(folder, run):
    args = ("compare", "weak.csv", "third.csv", "--json", "--metric", "sensitivity_mel", "--margin", "0.9")
    report = json.loads(run(*args, *FAST, "--seed", "5", cwd=folder).out)
    rows = {row["metric"]: row for row in report["comparisons"] if row["verdict"]}
    assert rows["sensitivity_mel"]["verdict"] == "equivalent"  # anything is, with such a margin
    assert rows["sensitivity_mel"]["margin"] == report["margins"]["sensitivity_mel"] == 0.9
    assert (report["primary"], report["seed"], report["replicates"]) == ("sensitivity_mel", 5, 200)


def test_isic_style_and_a_metadata_table(folder, run):
    weak = pd.read_csv(folder / "weak.csv")
    weak[["image_id", "lesion_id", "dx"]].to_csv(folder / "truth.csv", index=False)
    isic = weak.rename(columns={"image_id": "image"} | {f"p_{name}": name.upper() for name in CLASSES})
    isic.drop(columns=["dx", "lesion_id"]).to_csv(folder / "isic.csv", index=False)
    outcome = run("compare", "isic.csv", "strong.csv", "--truth", "truth.csv", "--json", *FAST, cwd=folder)
    assert outcome.code == 0, outcome.err
    expected = json.loads(run("compare", "weak.csv", "strong.csv", "--json", *FAST, cwd=folder).out)
    report = json.loads(outcome.out)
    assert [row["p"] for row in report["comparisons"]] == [row["p"] for row in expected["comparisons"]]


def test_a_test_set_without_a_class_is_compared_as_far_as_it_goes(folder, run):
    for name in ("weak", "strong"):
        table = pd.read_csv(folder / f"{name}.csv")
        table[table["dx"] != "df"].to_csv(folder / f"{name}_part.csv", index=False)
    outcome = run("compare", "weak_part.csv", "strong_part.csv", *FAST, cwd=folder)
    assert outcome.code == 0, outcome.err
    assert re.search(r"macro AUC +undefined: a class is absent", outcome.out)
    report = json.loads(run("compare", "weak_part.csv", "strong_part.csv", "--json", *FAST, cwd=folder).out)
    rows = {row["metric"]: row for row in report["comparisons"] if row["verdict"]}
    assert rows["macro_auc"]["difference"] is None
    assert rows["macro_auc"]["verdict"].startswith("no verdict: ")
    assert rows["balanced_accuracy"]["verdict"] == "higher by more than the margin"


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["weak.csv"], ["two or more"]),
        (["weak.csv", "weak.csv"], ["given twice"]),
        (["weak.csv", "absent.csv"], ["absent.csv", "no such file"]),
        (["weak.csv", "strong.cvs"], ["strong.cvs: no such file; did you mean strong.csv?"]),
        (["weak.csv", "other.csv"], ["other.csv: no such file; give a"]),  # not like any
        (["weak.csv", "short.csv"], ["weak and short", "different images", "2 only in weak: I0000, I0001"]),
        (["weak.csv", "relabelled.csv"], ["different diagnoses", "I0003"]),
        (["weak.csv", "strong.csv", "--metric", "balanced_acuracy"], ["--metric", "did you mean balanced_accuracy"]),
        (["weak.csv", "strong.csv", "--cluster", "patient"], ["--cluster patient", "lesion_id, none"]),
        (["weak.csv", "nan.csv"], ["nan.csv", "not probabilities", "I0005"]),
        (["weak.csv", "words.csv"], ["words.csv", "column image_id"]),
    ],
)
def test_files_that_cannot_be_compared(folder, run, args, parts):
    table = pd.read_csv(folder / "strong.csv")
    table.iloc[2:].to_csv(folder / "short.csv", index=False)
    other = table.copy()
    other.loc[3, "dx"] = "nv" if other.loc[3, "dx"] != "nv" else "mel"
    other.to_csv(folder / "relabelled.csv", index=False)
    table.assign(p_mel=table["p_mel"].where(table["image_id"] != "I0005")).to_csv(folder / "nan.csv", index=False)
    pd.DataFrame({"a": ["b"]}).to_csv(folder / "words.csv", index=False)
    outcome = run("compare", *args, *FAST, cwd=folder)
    assert outcome.code == 2
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, lines
    for part in parts:
        assert part in lines[0]


def test_score_gives_every_metric_and_says_what_is_undefined(folder, run):
    table = pd.read_csv(folder / "weak.csv")
    table[table["dx"] != "df"].drop(columns="lesion_id").to_csv(folder / "partial.csv", index=False)
    outcome = run("score", "partial.csv", *FAST, cwd=folder)
    assert outcome.code == 0, outcome.err
    assert "sensitivity_df  undefined: no df among the images" in outcome.out
    assert "no lesion_id" in outcome.err
    report = json.loads(run("score", "weak.csv", "--json", *FAST, cwd=folder).out)
    metrics = report["metrics"]
    assert metrics["balanced_accuracy_low"] < metrics["balanced_accuracy"] < metrics["balanced_accuracy_high"]
    assert report["undefined"] == {}
