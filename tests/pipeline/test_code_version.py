"""The version of the code: what changes it, what does not, and which stages an edit reaches."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from skinlesion.code_version import NOT_COMPUTING, PACKAGE, canonical, closure, code_version, stage_versions
from tests.conftest import ROOT

PAGES = {"audit_page", "describe", "report"}  # stages of the pipeline that write pages
COMMANDS = sorted(set(re.findall(r"code\.json: \[(\w+)\]", (ROOT / "dvc.yaml").read_text())))


@pytest.fixture
def package(tmp_path) -> Path:
    """A copy of the package, to edit, with nothing of the repository around it."""
    return shutil.copytree(PACKAGE, tmp_path / "skinlesion", ignore=shutil.ignore_patterns("__pycache__"))


def changed_in(package: Path) -> set[str]:
    """Return the stages whose version differs between an edited copy and the package."""
    before, after = stage_versions(), stage_versions(package)
    assert set(before) == set(after)
    return {name for name in COMMANDS if before[name] != after[name]}


def stages_with(name: str) -> set[str]:
    """Return the stages whose version counts a file of the package."""
    return {command for command in COMMANDS if name in closure(f"stages.{command}")}


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


def canonical_form(source: str) -> str:
    return canonical(ast.parse(source))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x = f(a, b)", "x = f(\n    a,  # the first\n    b,\n)"),
        ("x = (a + b)", "x = a + b"),
        ("x = 'it'", 'x = u"it"'),
        ("x = 1_000", "x = 1000"),
        ("def f():\n    return 1", 'def f():\n    """One."""\n\n    return 1'),
        ("class A:\n    x: int", 'class A:\n    """A."""\n    x: int\n    """Its x."""'),
        ("x = 1", "if TYPE_CHECKING:\n    import b\nx = 1"),
        ("x = 'a' 'b'", "x = 'ab'"),
        ("x = f'{a}' ''", "x = f'{a}'"),
    ],
)
def test_the_same_code_written_differently_has_one_canonical_form(first, second):
    assert canonical_form(first) == canonical_form(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = None", "x = ()"),
        ("x = 'a'", "x = b'a'"),
        ("x = a + b * c", "x = (a + b) * c"),
        ("f(a, b)", "f(b, a)"),
        ("f(a)", "f(a=a)"),
        ("{**a}", "{a: a}"),
        ("def f(a, *, b): ...", "def f(a, b): ..."),
        ("def f(a, b=None): ...", "def f(a, b): ..."),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x[1:]", "x[:1]"),
        ("return_ = a", "return_: a"),
        ("if a:\n    b\nc", "if a:\n    b\n    c"),
    ],
)
def test_other_code_has_another_canonical_form(first, second):
    assert canonical_form(first) != canonical_form(second)


def test_fields_that_newer_pythons_add_empty_change_nothing():
    tree = ast.parse("def f(a: int) -> str:\n    return a\nclass B: ...")
    expected = canonical(tree)
    for node in list(ast.walk(tree)):
        node._fields = (*node._fields, "type_params", "to_come")
        node.type_params, node.to_come = [], None
    assert canonical(tree) == expected


def test_an_empty_constant_in_a_nested_format_changes_nothing():
    """Python 3.12.1 parses one into f"{x:{w}.{p}}", other versions none."""
    tree = ast.parse("y = f'{x:{w}.{p}}'")
    expected = canonical(tree)
    nested = tree.body[0].value.values[0].format_spec
    nested.values = [ast.Constant(""), *[value for value in nested.values if getattr(value, "value", None) != ""]]
    assert canonical(tree) == expected
    assert expected != canonical_form("y = f'{x:{w}{p}}'")


def test_none_written_differs_from_nothing_written():
    assert canonical_form("def f(*, x): ...") != canonical_form("def f(*, x=None): ...")
    assert canonical_form("x = {**y}") != canonical_form("x = {None: y}")


def test_text_outside_ascii_does_not_depend_on_the_unicode_of_this_python():
    assert (
        canonical_form("x = '\U0001fae9'") == "(Module body=[(Assign targets=[(Name id='x')] value=<'\\U0001fae9'>)])"
    )


def test_comments_docstrings_and_layout_change_no_version(package):
    for path in package.rglob("*.py"):
        text = path.read_text()
        if path.parent.name in {"stages", "models"}:
            text = ast.unparse(ast.parse(text))
        path.write_text(f'"""Another first line."""\n# a comment\n{text}\n')
    assert changed_in(package) == set()


def test_a_loss_reaches_what_trains_and_what_opens_trained_models(package):
    append(package / "models/losses.py", "\nWEIGHT = 2\n")
    changed = changed_in(package)
    assert "train" in changed
    assert not changed & {"prepare", "split", "stats", "assess", "ensemble", "metadata", "report", "describe"}


def test_a_template_reaches_pages_alone(package):
    append(package / "report/card.md.j2", "\n\n")
    append(package / "report/sections/explanations.html.j2", "\n\n")
    assert changed_in(package) == {"report"}


@pytest.mark.parametrize("path", sorted(PACKAGE.joinpath("report").rglob("[a-z]*.*[!c]")), ids=lambda path: path.name)
def test_the_report_reaches_pages_alone(path):
    name = path.relative_to(PACKAGE).as_posix()
    stages = stages_with(name)
    assert stages <= PAGES
    commands = closure("stages.retest") | closure("stages.compare")  # which no stage of the pipeline calls
    assert stages or path.suffix == ".py" or name in commands, "a template that no page names"


def test_entries_of_the_registry_reach_the_report_and_nothing_that_trains():
    entries = {f"registry/{path.name}" for path in (PACKAGE / "registry").glob("*.yaml")}
    assert entries
    assert entries <= closure("stages.report")
    assert not entries & (closure("stages.train") | closure("stages.stats"))


def test_styles_reach_every_page():
    assert stages_with("report/style.css") == PAGES


@pytest.mark.parametrize("path", sorted(PACKAGE.joinpath("data/sources").glob("*.py")), ids=lambda path: path.stem)
def test_every_source_is_part_of_prepare(path):
    """They are imported by a name that is made at run time."""
    assert path.relative_to(PACKAGE).as_posix() in closure("stages.prepare")


def test_training_depends_on_what_decides_weights_and_on_nothing_that_shows_them():
    files = closure("stages.train")
    assert {"models/losses.py", "models/fusion.py", "training/fit.py", "data/augment.py", "data/splits.py"} <= files
    subpackages = {name.partition("/")[0] for name in files}
    assert not subpackages & {"report", "analysis", "interpret", "dashboard", "params", "cli"}
    assert not files & NOT_COMPUTING


def test_features_do_not_depend_on_the_training_loop():
    files = closure("training.features")
    assert {"training/features.py", "models/backbones.py", "models/pretrained.py", "data/augment.py"} <= files
    assert not files & {"training/fit.py", "models/losses.py", "models/fusion.py", "stages/train.py"}


def test_imports_in_functions_by_name_and_by_dots_count(tmp_path):
    package = tmp_path / "scratch"
    files = {
        "__init__.py": "",
        "a.py": "def f():\n    from scratch.rooms import b",
        "rooms/__init__.py": "",
        "rooms/b.py": "from . import c\nfrom ..d import value\nimport os, scratch.params",
        "rooms/c.py": "import importlib\ndef get(name):\n    return importlib.import_module(f'scratch.plugins.{name}')",
        "d.py": "value = 'scratch.e'",
        "e.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import scratch.f",
        "f.py": "",
        "params/__init__.py": "from scratch import f",
        "plugins/one.py": "PAGE = 'one.html'",
        "one.html": "{% include 'two.css' %}",
        "two.css": "",
        "three.css": "",
    }
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    assert closure("a", package) == set(files) - {"__init__.py", "f.py", "params/__init__.py", "three.css"}
    with pytest.raises(ValueError, match="g: no module"):
        code_version("g", package)


def test_an_installed_package_writes_code_json_where_only_params_lie(package, tmp_path):
    """No repository and no tests around it; no torch and no pandas before every `dvc repro`."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(ROOT / "examples/fine_tuned/params.yaml", project)
    script = (
        "import sys; sys.argv = ['skinlesion', 'code']; from skinlesion import cli, code_version\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print(code_version.__file__, [m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    completed = subprocess.run(
        [sys.executable, "-c", script], cwd=project, env=environment, capture_output=True, text=True, check=True
    )
    assert completed.stdout.split() == [str(package / "code_version.py"), "[]"]
    assert json.loads((project / "code.json").read_text()) == stage_versions()
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    expected = {"code.json", "data/external/.gitkeep", "data/known_pairs.csv", "reports/ensembles/.gitkeep"}
    assert files == {"params.yaml", *expected}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"external": [{"name": "elsewhere", "source": "isic_challenge", "path": "absent"}]},
            "external.0.path: absent",
        ),
        ({"data": {"source": "folder", "path": "absent"}}, "data.path: absent"),
    ],
)
def test_images_that_are_not_there_are_named_before_dvc_misses_them(tmp_path, run, changes, message):
    params = yaml.safe_load((ROOT / "examples/fine_tuned/params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | changes))
    outcome = run("code", cwd=tmp_path)
    assert outcome.code == 2
    assert f"{message}: no such folder; " in outcome.err
    assert not (tmp_path / "code.json").exists()
    prepared = "data/external/elsewhere" if "external" in changes else "data/prepared"
    for name in ("absent", prepared):  # the images, or what was made of them elsewhere
        (tmp_path / name).mkdir(parents=True)
        assert run("code", cwd=tmp_path).code == 0
        (tmp_path / name).rmdir()
