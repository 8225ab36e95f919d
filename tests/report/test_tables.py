"""The results table as Markdown and LaTeX; a metric added to the registry reaches table and card by its entry alone."""

import json
import math
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from skinlesion.report import tables
from skinlesion.results.reader import Results
from skinlesion.results.system import SystemResult
from tests.conftest import ROOT

SYSTEM = SystemResult(
    "lite0_image",
    {"balanced_accuracy": 0.59, "balanced_accuracy_low": 0.565, "balanced_accuracy_high": 0.6154, "macro_f1": 0.44},
    {
        "system": {"backbone": "lite0", "input": "image", "training": "frozen", "protocol": "lesion"},
        "folds": [0],
        "seeds": [0],
    },
)


def test_a_row_tells_what_a_system_is_and_how_well_it_does():
    (row,) = tables.results_table([SYSTEM]).to_dict("records")
    assert row["experiment"] == "lite0_image"
    assert row["split by"] == "lesion, fold 0 only"
    assert row["balanced accuracy"] == "0.590 (0.565 to 0.615)"
    assert row["macro F1"] == "0.440"
    assert row["macro AUC"] == "–"


@pytest.mark.parametrize(
    ("source", "words"), [("ham10000", "HAM10000: 10 images"), ("pad_ufes_20", "PAD-UFES-20: 10 images")]
)
def test_the_line_below_the_table_names_the_data_set(source, words):
    notes = {
        **SYSTEM.notes, "versions": {"skinlesion": "0", "torch": "2", "timm": "1"}, "approximate": {}, "repeats": [0],
        "device": {"type": "cpu", "threads": 1}, "data": {"images_sha256": "0" * 64}, "confidence": 0.95,
        "intervals": "over lesions",
    }  # fmt: skip
    prepared = {"synthetic": False, "source": source, "images": 10, "lesions": 9, "image_size": 64}
    assert tables.describe([SystemResult(SYSTEM.name, SYSTEM.metrics, notes)], prepared).startswith(words)


def test_markdown_names_systems_as_code_and_says_where_figures_come_from():
    text = tables.markdown(pd.DataFrame({"experiment": ["a_b"], "x": ["1.0"]}), "Made today.")
    assert text == "| experiment | x |\n|---|---|\n| `a_b` | 1.0 |\n\nMade today.\n"


def test_latex_has_booktabs_lines_a_caption_and_figures_apart_from_their_intervals():
    assert tables.latex([SYSTEM], "10 images & 5% of a_b, −1.").splitlines() == [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        r"\caption{10 images \& 5\% of a\_b, $-$1.}",
        r"\label{tab:results}",
        r"\begin{tabular}{@{}lllr@{ }lr@{ }lr@{ }l@{}}",
        r"\toprule",
        r"experiment & input & split by & \multicolumn{2}{c}{balanced accuracy} & \multicolumn{2}{c}{macro F1} & "
        r"\multicolumn{2}{c}{macro AUC} \\",
        r"\midrule",
        r"lite0\_image & image & lesion, fold 0 only & 0.590 & (0.565 to 0.615) & 0.440 &  & -- &  \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


@pytest.mark.parametrize(
    ("text", "set_as"),
    [(r"\input{x}", r"\textbackslash{}input\{x\}"), ("a^b~c#$", r"a\textasciicircum{}b\textasciitilde{}c\#\$"),
     ("line\x1b", r"line\textbackslash{}x1b")],
)  # fmt: skip
def test_nothing_in_a_name_is_a_command_of_latex(text, set_as):
    assert tables.latex_text(text) == set_as


def test_exported_figures_are_numbers():
    (row,) = tables.results_numbers([SYSTEM]).to_dict("records")
    assert row["balanced_accuracy"] == 0.59
    assert (row["balanced_accuracy_low"], row["balanced_accuracy_high"]) == (0.565, 0.6154)
    assert math.isnan(row["macro_auc"])
    assert (row["folds"], row["seeds"], row["protocol"]) == (1, 1, "lesion")


def test_how_many_models_there_are():
    assert tables.count_models(1, 1) == "1 fold × 1 seed"
    assert tables.count_models(5, 3) == "5 folds × 3 seeds"
    assert tables.count_models(5, 3, 1) == "5 folds × 3 seeds"
    assert tables.count_models(5, 3, 3) == "3 partitions × 5 folds × 3 seeds"


def test_the_sentence_below_the_table_distinguishes_partitions_from_seeds():
    notes = SYSTEM.notes | {
        "versions": dict.fromkeys(("skinlesion", "torch", "timm"), "1"), "device": {"type": "cpu", "threads": 2},
        "data": {"images_sha256": "0" * 64}, "confidence": 0.95,
        "intervals": "over lesions and trainings",
        "approximate": {},
        "folds": [0, 1, 2, 3, 4], "seeds": [0, 1, 2],
    }  # fmt: skip
    prepared = {"synthetic": False, "source": "ham10000", "images": 10, "lesions": 5, "image_size": 32}
    one_partition = SystemResult("once", {}, notes)
    three_partitions = SystemResult("thrice", {}, notes | {"repeats": [0, 1, 2]})
    assert "; 5 folds × 3 seeds, mean over seeds of pooled" in tables.describe([one_partition], prepared)
    assert (
        "; 5 folds × 3 seeds; 3 partitions × 5 folds × 3 seeds, mean over partitions and seeds of pooled"
        in tables.describe([one_partition, three_partitions], prepared)
    )


TRIAL = """
import sys
from pathlib import Path
from skinlesion.analysis.summary import summarise
from skinlesion.files import write_json
from skinlesion.report.model_card import model_card
from skinlesion.report.tables import markdown, results_table
from skinlesion.results.reader import Results

results = Results.open(Path(sys.argv[1]) / "params.yaml")
values, _ = summarise(results.predictions("concat"), results.params.evaluate)
write_json(results.folder("concat") / "metrics.json", values)
print(markdown(results_table([results.system("concat")]), ""))
print(model_card(results, "concat"))
"""


def test_a_metric_is_added_by_one_entry(reported, tmp_path):
    """In a copy of the package whose registry has one entry more; nothing else is edited."""
    package, workspace = tmp_path / "code" / "skinlesion", tmp_path / "workspace"
    shutil.copytree(ROOT / "skinlesion", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(reported, workspace)
    registry = package / "evaluation" / "registry.py"
    entry = """        Metric(
            "error_rate", "error rate", lambda counts: 1 - counts.hits.sum(-1) / counts.support.sum(-1),
            higher_is_better=False, places=4, in_table=True, in_card=True,
        ),
"""
    text = registry.read_text()
    last = text.index('        Metric(\n            "nll"')
    registry.write_text(text[:last] + entry + text[last:])

    code = [sys.executable, "-W", "ignore", "-c", TRIAL, str(workspace)]
    output = subprocess.run(code, cwd=package.parent, capture_output=True, text=True, check=True).stdout
    metrics = json.loads((workspace / "reports/runs/concat/metrics.json").read_text())
    assert (
        abs(metrics["error_rate"] - (1 - Results.open(reported / "params.yaml").metrics("concat")["accuracy"])) < 1e-12
    )
    value = f"{metrics['error_rate']:.4f} ({metrics['error_rate_low']:.4f} to {metrics['error_rate_high']:.4f})"
    header, _, row = output.splitlines()[:3]
    column = [cell.strip() for cell in header.split("|")].index("error rate")
    assert row.split("|")[column].strip() == value
    assert f"| error rate | {value} |" in output
