"""The repository keeps its own rules: rooms, stage dependencies, parameters spelled out, a light command line."""

import re
import subprocess
import sys

import pytest
import yaml

from skinlesion.params import (
    AugmentParams,
    ClaimParams,
    EnsembleParams,
    FolderColumns,
    FolderParams,
    Params,
    PhantomParams,
    PublishedParams,
    TrainParams,
    load_params,
)
from skinlesion.stages.workspace import Workspace
from tests.conftest import ROOT
from tests.imports import PACKAGE, PIPELINES, code_dependencies, imported_names

#: Sections that hold entries of the user's own, not one value a field.
LISTS = {"experiments", "ensembles", "published", "claims", "external"}

FOLDER = (FolderParams, FolderColumns)


def test_the_three_pipelines_are_the_same_text_but_for_the_path_to_the_code():
    texts = {
        (ROOT / folder / "dvc.yaml").read_text().replace(f"- code: {code}\n", "- code: HERE\n")
        for folder, code in PIPELINES.items()
    }
    assert len(texts) == 1


@pytest.mark.parametrize("stage", yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
def test_a_stage_depends_on_the_modules_it_runs_through(stage):
    """Where this fails, `python -m tests.imports` mends it."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    listed = {dep.removeprefix("${code}/") for dep in pipeline["deps"] if dep.startswith("${code}/")}
    assert listed == code_dependencies(stage)


@pytest.mark.parametrize("folder", PIPELINES)
def test_every_params_file_spells_every_field(folder):
    """So DVC sees every value a stage uses, and a default changed in the code never changes a result unseen."""
    content = yaml.safe_load((ROOT / folder / "params.yaml").read_text())
    assert set(content) == set(Params.model_fields)
    for section, field in Params.model_fields.items():
        if section not in LISTS:
            assert set(content[section]) == set(field.annotation.model_fields), section
    load_params(ROOT / folder / "params.yaml")


def test_every_parameter_is_described():
    sections = [field.annotation for name, field in Params.model_fields.items() if name not in LISTS]
    for section in [*sections, PhantomParams, ClaimParams, EnsembleParams, PublishedParams, AugmentParams, *FOLDER]:
        assert all(field.description for field in section.model_fields.values()), section


def test_imports_go_one_way():
    order = {
        "stats": {"stats"},
        "evaluation": {"evaluation"},
        "report": {"report"},
        "data": {"data"},
        "models": {"models"},
        "training": {"training", "models", "data"},
        "interpret": {"interpret", "training", "models", "data"},
    }
    for room, allowed in order.items():
        for path in (PACKAGE / room).rglob("*.py"):
            for name in imported_names(path):
                parts = name.split(".")
                if parts[0] == "skinlesion" and len(parts) > 1 and (PACKAGE / parts[1]).is_dir():
                    assert parts[1] in allowed, f"{path.name} imports {name}"


@pytest.mark.parametrize("room", ["stats", "evaluation"])
def test_statistics_and_evaluation_never_import_torch(room):
    modules = [f"skinlesion.{room}.{path.stem}" for path in (PACKAGE / room).glob("*.py") if path.stem != "__init__"]
    heavy = ["torch", "timm"] + (["pandas", "sklearn"] if room == "stats" else [])
    code = f"import sys, {', '.join(modules)}; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_help_imports_neither_torch_nor_pandas():
    code = (
        "import sys; sys.argv = ['skinlesion', '--help']\n"
        "from skinlesion import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'numpy', 'pydantic', 'timm') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("[]")
    for command in ("prepare", "split", "train", "evaluate", "stats", "report"):
        assert command in found.stdout


def test_flags_of_train_are_fields_of_train():
    text = (PACKAGE / "cli.py").read_text()
    flags = re.search(r"flags: dict\[str, Any\] = \{(.*?)\}", text, re.DOTALL)
    assert flags is not None
    assert set(re.findall(r'"(\w+)":', flags[1])) <= set(TrainParams.model_fields)


def test_constraints_hold_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line) for line in lines if not line.startswith("#"))


def test_the_readmes_table_is_the_one_the_report_stage_writes():
    """Every figure in the README comes from committed results; this recomputes the numbers of its table."""
    import json

    readme = (ROOT / "README.md").read_text()
    table = readme.partition("<!-- results:begin -->")[2].partition("<!-- results:end -->")[0]
    rows = {line.split("|")[1].strip(" `"): line for line in table.splitlines() if line.startswith("| `")}
    params = load_params(ROOT / "examples/offline/params.yaml")
    assert list(rows) == params.systems
    for name, line in rows.items():
        folder = Workspace(ROOT / "examples/offline").system(params, name)
        metrics = json.loads((folder / "metrics.json").read_text())
        for metric in ("balanced_accuracy", "macro_f1", "macro_auc", "sensitivity_mel", "accuracy"):
            low, high = metrics[f"{metric}_low"], metrics[f"{metric}_high"]
            assert f"{metrics[metric]:.3f} ({low:.3f}–{high:.3f})" in line


def test_no_path_of_a_machine_and_no_registry_is_named():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = listed.stdout.split("\n")
    assert "README.md" in tracked
    forbidden = re.compile(r"pyp[i]\.org|python[h]osted|/wor[k]/|/roo[t]/|/hom[e]/\w")
    for name in tracked:
        path = ROOT / name
        if (
            name
            and path.suffix in {".py", ".md", ".yaml", ".toml", ".txt", ".json", ".csv", ".lock"}
            and path.is_file()
        ):
            assert not forbidden.search(path.read_text(encoding="utf-8")), name


def test_the_phantom_is_no_easy_win():
    """Committed results of the demo: a frozen EfficientNet-Lite0 is neither lost nor perfect on it."""
    import json

    metrics = json.loads((ROOT / "examples/phantom/reports/runs/image/metrics.json").read_text())
    assert 0.5 < metrics["balanced_accuracy"] < 0.85
