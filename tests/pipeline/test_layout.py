"""The repository keeps its own rules: stage dependencies, parameters spelled out, a README that recomputes."""

import json
import re

import pandas as pd
import pytest
import yaml
from ruamel.yaml import YAML

from skinlesion.code_version import PACKAGE
from skinlesion.numbers import figure, interval, points
from skinlesion.params import (
    AugmentParams,
    ClaimParams,
    EnsembleParams,
    FolderColumns,
    FolderParams,
    Params,
    PhantomParams,
    PublishedParams,
    TuneParams,
)
from skinlesion.params_file import load_params
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from tests.conftest import ROOT

PIPELINES = (".", "examples/phantom", "examples/offline")

#: Sections that hold entries of the user's own, not one value a field.
LISTS = {"experiments", "ensembles", "published", "claims", "external"}

FOLDER = (FolderParams, FolderColumns)


def test_there_is_one_pipeline():
    """The phantom and the package link to it. DVC reads no link in another revision: examples/offline has a copy."""
    text = (ROOT / "dvc.yaml").read_text()
    copies = [f"examples/{name}/dvc.yaml" for name in ("phantom", "offline", "fine_tuned")]
    for path in (*copies, "skinlesion/pipeline.yaml"):
        assert (ROOT / path).read_text() == text, f"{path}: run `make pipeline`"


def test_every_stage_depends_on_the_code_that_it_runs():
    """Its command is a module of `stages/`, and its dependency the hash of that module's name in code.json."""
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    assert stages.pop("code")["outs"] == ["code.json"]
    for name, stage in stages.items():
        command = stage["cmd"].split()[1] + ("_page" if stage["cmd"].endswith(" --page") else "")
        assert {"code.json": [command]} in stage["params"], name
        assert (PACKAGE / "stages" / f"{command}.py").is_file(), name


@pytest.mark.parametrize("folder", PIPELINES)
def test_every_params_file_spells_every_field(folder):
    """So DVC sees every value a stage uses, and a default changed in the code never changes a result unseen."""
    content = yaml.safe_load((ROOT / folder / "params.yaml").read_text())
    assert set(content) == set(Params.model_fields)
    for section, field in Params.model_fields.items():
        if section not in LISTS:
            assert set(content[section]) == set(field.annotation.model_fields), section
    assert set(content["data"]["phantom"]) == set(PhantomParams.model_fields)
    assert set(content["data"]["folder"]) == set(FolderParams.model_fields)
    assert set(content["data"]["folder"]["columns"]) == set(FolderColumns.model_fields)
    load_params(ROOT / folder / "params.yaml")


def test_every_parameter_is_described():
    sections = [field.annotation for name, field in Params.model_fields.items() if name not in LISTS]
    for section in [
        *sections,
        PhantomParams,
        ClaimParams,
        EnsembleParams,
        PublishedParams,
        AugmentParams,
        TuneParams,
        *FOLDER,
    ]:
        assert all(field.description for field in section.model_fields.values()), section


def test_constraints_hold_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line) for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    ("example", "page", "whole"),
    [("offline", "README.md", "docs/RESULTS.md"), ("fine_tuned", "examples/fine_tuned/README.md", None)],
)
def test_a_pages_table_is_the_one_the_report_stage_writes(example, page, whole):
    """Every figure in the README comes from committed results; this recomputes the numbers of its table."""
    params, workspace = load_params(ROOT / f"examples/{example}/params.yaml"), Workspace(ROOT / f"examples/{example}")
    text = (ROOT / page).read_text()
    table = text.partition("<!-- results:begin -->")[2].partition("<!-- results:end -->")[0]
    rows = _rows_with_committed_figures(table, params, workspace)
    assert list(rows) == params.report.headline
    for name, line in rows.items():
        assessment = json.loads((workspace.assessment(name) / "assessment.json").read_text())
        assert f"| {figure(assessment, 'balanced_accuracy_at_own_rule')} |" in line
        assert line.endswith(f"| {figure(assessment, 'macro_f1_at_own_rule')} |")
    if whole:
        rows = _rows_with_committed_figures((ROOT / whole).read_text(), params, workspace)
        assert list(rows) == Results(params, workspace).shown


def test_the_readmes_comparison_is_what_the_command_prints(capsys, monkeypatch):
    from skinlesion import cli

    readme = (ROOT / "README.md").read_text()
    command, _, displayed = readme.partition("\n$ skinlesion compare ")[2].partition("\n")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["skinlesion", "compare", *command.split()])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    expected = displayed.partition("\n...\n")[0].splitlines()
    assert len(expected) > 5
    assert capsys.readouterr().out.splitlines()[: len(expected)] == expected


def test_the_readmes_shares_of_false_alarms_are_those_of_the_simulation():
    """The last columns: HAM10000's number of lesions; of the noise of a lesion's images 0.6, and all, is shared."""
    table = (ROOT / "benchmarks/published_tests.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if line.startswith("|")]
    assert [cell.partition(", ")[2] for cell in rows[0][-3:-1]] == ["ρ = 0.6", "ρ = 1"]
    partly, last = ({row[1]: row[column] for row in rows} for column in (-3, -2))
    readme = " ".join((ROOT / "README.md").read_text().split())
    by_image, by_lesion = last["McNemar, by image"], last["McNemar, by lesion (here)"]
    level = f"at a level of 5% ({partly['McNemar, by image']} at ρ = 0.6), and by lesion in {by_lesion};"
    assert f"different in {by_image} of data sets {level}" in readme
    replicates = float(last["Mann–Whitney between 1,000 bootstrap replicates each"].rstrip("%"))
    assert f"between 1,000 bootstrap replicates, as some papers use them, do so in {replicates:.0f}%" in readme


def test_the_readmes_sentence_on_fine_tuned_models_has_the_committed_figures():
    """Both models at their own decision rules, and what metadata adds: from examples/fine_tuned."""
    reports = ROOT / "examples/fine_tuned/reports"
    readme = " ".join((ROOT / "README.md").read_text().split())
    sentence = readme.partition("**Fine-tuned**")[2].partition("docs/fine_tuned/report.html")[0]
    for name in ("image", "concat"):
        assessment = json.loads((reports / f"assessments/{name}/assessment.json").read_text())
        assert figure(assessment, "balanced_accuracy_at_own_rule") in sentence
        assert figure(assessment, "macro_f1_at_own_rule") in sentence
        metrics = json.loads((reports / f"runs/{name}/metrics.json").read_text())
        assert figure(metrics, "macro_auc") in sentence
    claims = pd.read_csv(reports / "stats/claims.csv").set_index("metric")
    for metric in ("accuracy", "macro_auc", "sensitivity_mel"):
        row = claims[claims["direction"] == "higher"].loc[metric]
        low, high = row["low_adjusted"], row["high_adjusted"]
        assert interval(row["difference"], low, high, signed=True) in sentence
    rules = pd.read_csv(reports / "stats/own_rules.csv").dropna(subset="verdict").set_index(["a", "b", "metric"])
    assert rules.loc[("image", "concat", "balanced_accuracy"), "verdict"] == "equivalent"
    assert "equivalent in balanced accuracy" in sentence
    primary = claims.loc["balanced_accuracy"].iloc[0]
    assert (primary["a"], primary["b"], primary["answer"]) == ("image", "concat", "inconclusive")
    primary_interval = interval(primary["difference"], primary["low_adjusted"], primary["high_adjusted"], signed=True)
    assert f"metadata changes the balanced accuracy by {primary_interval}" in sentence
    of_metadata = claims[(claims["a"] == "image") & (claims["b"] == "concat")]
    assert of_metadata["answer"].value_counts().to_dict() == {"inconclusive": 4, "supported": 2}
    assert "Of six claims about metadata, two are supported" in sentence
    assert "and four are inconclusive" in sentence
    leaky = claims.reset_index().set_index(["a", "b"])
    leak = readme.partition("Split by image")[2].partition("These models are no better")[0]
    for name in ("image", "concat"):
        row = leaky.loc[(name, f"{name}_leaky")]
        assert row["verdict"].startswith("higher")
        values = [json.loads((reports / f"runs/{system}/metrics.json").read_text()) for system in row.name]
        by_lesion, by_image = (value["balanced_accuracy"] for value in values)
        assert f"{by_image:.3f} instead of {by_lesion:.3f}" in leak
        assert interval(row["difference"], row["low_adjusted"], row["high_adjusted"], signed=True) in leak
        assessment = json.loads((reports / f"assessments/{name}_leaky/assessment.json").read_text())
        assert assessment["balanced_accuracy_at_own_rule"] >= 0.76
        assert assessment["macro_f1_at_own_rule"] >= 0.72


def test_the_readmes_counts_of_images_are_those_of_the_files():
    readme = (ROOT / "README.md").read_text()
    ids = (ROOT / "examples/offline/isic2019_ids.txt").read_text().split()
    assert len(ids) == len(set(ids))
    assert f"come from the {len(ids)} images" in readme
    assert f"come from {len(ids)} melanomas and naevi" in readme
    leaked = (ROOT / "docs/p3.md").read_text().partition(" tested images show a lesion")[0].split()[-3]
    assert f"p3's own: {leaked} of the images show lesions" in readme


def test_the_readmes_second_backbone_has_the_committed_figures():
    claims = pd.read_csv(ROOT / "examples/offline/reports/stats/claims.csv").set_index(["a", "b"])
    row = claims.loc[("lite2_image", "lite2_concat")]
    figures = interval(row["difference"], row["low_adjusted"], row["high_adjusted"], signed=True)
    assert f"is {row['answer']}: {figures}." in " ".join((ROOT / "README.md").read_text().split())


def test_what_the_fine_tuned_page_says_of_its_limits_follows_from_committed_results():
    reports = ROOT / "examples/fine_tuned/reports"
    whole = (ROOT / "examples/fine_tuned/README.md").read_text()
    page = " ".join(whole.split()).partition("**What limits it.**")[2]
    for name in ("image", "concat", "ensemble"):
        assessment = json.loads((reports / f"assessments/{name}/assessment.json").read_text())
        assert assessment["macro_f1_at_own_rule"] < 0.72
        assert assessment["balanced_accuracy_at_own_rule"] < 0.76
    values = {name: json.loads((reports / f"runs/{name}/metrics.json").read_text()) for name in ("image", "concat")}
    assert values["image"]["macro_auc"] < 0.96 < values["concat"]["macro_auc"]
    statistics = json.loads((reports / "stats/stats.json").read_text())
    assert (statistics["claims_stood_before"], sum(statistics["claims"].values())) == (8, 10)
    assert "eight of the ten stood before the predictions that they judge" in " ".join(whole.split())
    recipe = [json.loads(line) for line in (ROOT / "benchmarks/recipe.jsonl").read_text().splitlines()]
    chosen = next(row for row in recipe if row["name"] == "96, 128, 160 px")
    assert f"({chosen['macro_f1_at_own_rule']:.3f} and {chosen['balanced_accuracy_at_own_rule']:.3f})" in page
    for name in ("image_leaky", "concat_leaky"):
        assessment = json.loads((reports / f"assessments/{name}/assessment.json").read_text())
        assert f"{assessment['macro_f1_at_own_rule']:.3f}" in page
        assert f"{assessment['balanced_accuracy_at_own_rule']:.3f}" in page
        assert f"{json.loads((reports / f'runs/{name}/metrics.json').read_text())['macro_auc']:.3f}" in page
    effect = pd.read_csv(reports / "effect/effect.csv").set_index(["question", "group", "metric"])
    leak = effect.loc[("leak", "difference", "balanced_accuracy")]
    assert f"by {interval(leak['value'], leak['low'], leak['high'], signed=True)} of balanced accuracy" in page
    rules = pd.read_csv(reports / "stats/own_rules.csv").dropna(subset="verdict").set_index(["a", "b", "metric"])
    gains = [rules.loc[("concat", "ensemble", metric), "difference"] for metric in ("balanced_accuracy", "macro_f1")]
    assert f"adds {points(gains[0])} points of balanced accuracy and {points(gains[1])} of macro F1" in page


def _rows_with_committed_figures(table, params, workspace):
    """Return the rows of a table by experiment, after a check that they hold the figures of metrics.json."""
    rows = {line.split("|")[1].strip(" `"): line for line in table.splitlines() if line.startswith("| `")}
    for name, line in rows.items():
        metrics = json.loads((workspace.system(params, name) / "metrics.json").read_text())
        for metric in ("balanced_accuracy", "macro_f1", "macro_auc", "sensitivity_mel", "accuracy"):
            assert f"| {figure(metrics, metric)} |" in line
    return rows
