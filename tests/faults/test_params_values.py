"""Values of params.yaml of a wrong type, range or length: refused in one line that names the field."""

import copy
import os
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skinlesion.params import AugmentParams, DataParams, TrainParams
from skinlesion.params_file import parse_yaml
from tests.conftest import ROOT
from tests.faults.harness import cases, check_ended, check_refused, snapshot

FILES = ("params.yaml", "examples/offline/params.yaml", "examples/phantom/params.yaml")
#: A failing params.yaml is printed whole, however long.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
LONG = "x" * 6000

REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    # booleans, text and other numbers in the place of numbers
    ({"train": {"epochs": True}}, ["train.epochs: True", "integer"]),
    ({"train": {"epochs": "3"}}, ["train.epochs: '3'", "integer"]),
    ({"train": {"epochs": 1.0}}, ["train.epochs: 1.0", "integer"]),
    ({"train": {"epochs": "yes"}}, ["train.epochs: 'yes'"]),
    ({"train": {"lr": True}}, ["train.lr: True", "number"]),
    ({"train": {"lr": "0.1"}}, ["train.lr: '0.1'", "number"]),
    ({"train": {"folds": [True]}}, ["train.folds.0: True"]),
    ({"train": {"seeds": [False]}}, ["train.seeds.0: False"]),
    ({"train": {"injected": True}}, ["train.injected: True"]),
    ({"train": {"augment": {"rotation": True}}}, ["train.augment.rotation: True"]),
    ({"train": {"augment": {"scale": [True, 2]}}}, ["train.augment.scale.0: True"]),
    ({"train": {"costs": {"mel": {"nv": True}}}}, ["train.costs.mel.nv: True"]),
    ({"experiments": {"a": {"epochs": True}}}, ["experiments.a.epochs: True"]),
    ({"stats": {"margins": {"macro_f1": "0.1"}}}, ["stats.margins.macro_f1: '0.1'"]),
    ({"assess": {"operating_points": ["0.9"]}}, ["assess.operating_points.0: '0.9'"]),
    # numbers and text in the place of booleans
    ({"train": {"tf32": 1}}, ["train.tf32: 1", "boolean"]),
    ({"train": {"compile": "yes"}}, ["train.compile: 'yes'", "boolean"]),
    ({"data": {"download": 0.0}}, ["data.download: 0.0"]),
    # no finite number
    ({"train": {"lr": float("nan")}}, ["train.lr: nan", "finite"]),
    ({"train": {"clip_norm": float("inf")}}, ["train.clip_norm: inf", "finite"]),
    ({"experiments": {"a": {"lr": float("-inf")}}}, ["experiments.a.lr: -inf"]),
    ({"train": {"tune": {"lr": [float("nan")]}}}, ["train.tune.lr.0: nan"]),
    # more than anybody means
    ({"data": {"phantom": {"images": 10**9}}}, ["data.phantom.images", "100000"]),
    ({"train": {"seeds": [10**30]}}, ["train.seeds.0"]),
    ({"train": {"seeds": list(range(1001))}}, ["train.seeds", "1000"]),
    ({"train": {"epochs": 10**9}}, ["train.epochs", "10000"]),
    ({"prepare": {"image_size": 10**6}}, ["prepare.image_size", "1024"]),
    ({"evaluate": {"replicates": 10**9}}, ["evaluate.replicates", "1000000"]),
    ({"stats": {"permutations": 10**9}}, ["stats.permutations", "1000000"]),
    ({"assess": {"smallest_class": 10**30}}, ["assess.smallest_class"]),
    ({"assess": {"smallest_group": 10**30}}, ["assess.smallest_group"]),
    ({"train": {"checkpoint_seconds": 1e300}}, ["train.checkpoint_seconds"]),
    ({"train": {"clip_norm": 1e300}}, ["train.clip_norm"]),
    ({"train": {"head_hidden": [8] * 17}}, ["train.head_hidden", "16"]),
    # keys and names
    ({"image size": 3}, ["image size: unknown field", "data"]),
    ({"train": {"learning rate": 3}}, ["train.learning rate: unknown field"]),
    ({"external": [{"name": "a", "train": {}}]}, ["external.0.train: unknown field", "name"]),
    ({"ensembles": {"a": {"members": ["image"], "train": 3}}}, ["ensembles.a.train: unknown field", "members"]),
    ({"claims": [{"claim": "c", "experiments": 3}]}, ["claims.0", "missing"]),
    ({"experiments": {"a" * 65: {}}}, ["experiments.aaa", "at most 64"]),
    ({"experiments": {"a;b": {}}}, ["experiments.a;b", "a-z"]),
    ({"ensembles": {"image": {"members": ["image"]}}, "experiments": {"image": {}}}, ["ensembles.image", "choose"]),
    ({"external": [{"name": "a/b"}]}, ["external.0.name: 'a/b' is not a valid name"]),
    ({"external": [{"name": "a" * 65}]}, ["external.0.name", "at most 64"]),
    ({"external": [{}]}, ["external.0.name: missing"]),
    ({"train": {"costs": {"melanoma": {}}}}, ["train.costs: melanoma is not a class"]),
    # text
    ({"data": {"path": ""}}, ["data.path", "empty"]),
    ({"data": {"path": "a\nb"}}, ["data.path", "printed"]),
    ({"data": {"path": 3}}, ["data.path", "3"]),
    ({"external": [{"name": "a", "path": " "}]}, ["external.0.path", "empty"]),
    ({"data": {"folder": {"table": "a\nb.csv"}}}, ["data.folder.table", "line"]),
    ({"train": {"weights": "a\nb.safetensors"}}, ["train.weights", "line"]),
    ({"train": {"backbone": "b" * 501}}, ["train.backbone: 'bbb", "500"]),
    ({"train": {"fusion": LONG[:4000]}}, ["train.fusion: 'xxx", "is not a choice"]),
    ({"report": {"title": "a\nb"}}, ["report.title", "one line"]),
    ({"report": {"title": "a" * 501}}, ["report.title", "500"]),
    ({"published": [{"system": "a\nb", "setting": "s", "reproduced": None, "honest": None}]}, ["published.0.system"]),
    # lists
    ({"stats": {"metrics": ["macro_f1", "macro_f1"]}}, ["stats.metrics", "twice"]),
    ({"stats": {"primary": "sensitivity_melanoma"}}, ["stats.primary", "did you mean sensitivity_mel?"]),
    ({"stats": {"margins": {"ece": 0.02}}}, ["stats.margins.ece", "is not a choice"]),
    ({"assess": {"operating_points": [0.9, 0.9]}}, ["assess.operating_points", "twice"]),
    ({"stats": {"pairs": [["image", "image"]]}, "experiments": {"image": {}}}, ["stats.pairs.0", "twice"]),
    ({"ensembles": {"e": {"members": ["a", "a"]}}, "experiments": {"a": {}}}, ["ensembles.e.members", "twice"]),
    ({"train": [1, 2]}, ["train: [1, 2]", "dictionary"]),
    ({"train": None}, ["train: None", "dictionary"]),
    ({"experiments": None}, ["experiments: None"]),
    ({"experiments": {"a": [1]}}, ["experiments.a: [1]"]),
    ({"train": dict.fromkeys(TrainParams.model_fields, LONG[:3000])}, ["train.backbone", "more like this"]),
]


def _write(folder, content):
    (folder / "params.yaml").write_text(yaml.safe_dump(content, allow_unicode=True, width=10**6))


@pytest.mark.parametrize(("content", "parts"), REFUSED)
def test_a_value_that_is_refused(tmp_path, run, content, parts):
    _write(tmp_path, content)
    check_refused(run("experiments", cwd=tmp_path), "params.yaml" if "experiments" not in content else "", *parts)


@pytest.mark.parametrize(
    "path", ["loop", "loop/below", "params.yaml/below", "pipe/below", "/dev/null/below", "d" * 300]
)
def test_a_folder_that_cannot_be_made(tmp_path, run, monkeypatch, path):
    """The stage `code` makes the folder of a phantom where there is none."""
    monkeypatch.setattr("skinlesion.stages.code.stage_versions", dict)
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    _write(tmp_path, {"data": {"source": "phantom", "path": path}})
    check_ended(run("code", cwd=tmp_path))


def test_what_strict_types_must_take():
    """What YAML has no type for: a path, a tuple; and a whole number where a fraction may stand."""
    assert str(DataParams.model_validate({"path": "data/raw"}).path) == "data/raw"
    assert AugmentParams.model_validate({"scale": [1, 1.5]}).scale == (1.0, 1.5)
    assert TrainParams.model_validate({"lr": 1}).lr == 1.0
    assert TrainParams.model_validate({"augment": "flips", "views": 4}).augment.preset == "flips"


CONTENTS = {name: parse_yaml((ROOT / name).read_text()) for name in FILES}
NOT_NUMBERS = [
    True,
    False,
    "3",
    "",
    "ten",
    float("nan"),
    float("inf"),
    float("-inf"),
    10**30,
    -(10**30),
    [],
    [1],
    {},
    {"a": 1},
]
NOT_BOOLEANS = [0, 1, 1.0, "true", "yes", "", [], {}, None]
NOT_LISTS = [True, 3, 0.5, "text", {"a": 1}, {}]
NOT_MAPPINGS = [True, 3, 0.5, "text", [1]]
NOT_TEXT = [True, 3, 0.5, ["a"], {"a": 1}]
ODD = [
    None,
    "x;touch PWNED",
    "$(touch PWNED)",
    "a b",
    "\n",
    "ä" * 400,
    LONG[:4000],
    "../..",
    "-1",
    2**63,
    -1,
    0,
    1e-320,
    1e308,
]


def places(content: Any, keys: tuple = ()) -> list[tuple]:
    """Return the keys that lead to every value of a nested content."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path for key, value in entries for path in ((*keys, key), *places(value, (*keys, key)))]


def value_at(content: Any, keys: tuple) -> Any:
    for key in keys:
        content = content[key]
    return content


def wrong_for(value: Any, keys: tuple) -> list[Any]:
    """Return values that may not stand in the place of one that does."""
    if keys[-1] == "metadata_batch_norm":  # true, or a number of layers
        return [candidate for candidate in NOT_BOOLEANS if not isinstance(candidate, int)]
    if isinstance(value, bool):  # of `augment` each may be left open
        return [candidate for candidate in NOT_BOOLEANS if "augment" not in keys or candidate is not None]
    if isinstance(value, int | float):
        return NOT_NUMBERS
    if isinstance(value, str):
        return [candidate for candidate in NOT_TEXT if keys[-1] != "augment" or not isinstance(candidate, dict)]
    if isinstance(value, list):
        return NOT_LISTS
    return NOT_MAPPINGS if isinstance(value, dict) else []


PLACES = {
    name: [keys for keys in places(content) if keys[-1] != "augment" and wrong_for(value_at(content, keys), keys)]
    for name, content in CONTENTS.items()
}


@st.composite
def wrong_types(draw) -> tuple[Any, tuple]:
    """Return the content of a params.yaml with one value of a wrong type, and the keys that lead to it."""
    name = draw(st.sampled_from(FILES))
    keys = draw(st.sampled_from(PLACES[name]))
    content = copy.deepcopy(CONTENTS[name])
    value_at(content, keys[:-1])[keys[-1]] = draw(st.sampled_from(wrong_for(value_at(content, keys), keys)))
    return content, keys


@st.composite
def odd_contents(draw) -> Any:
    """Return the content of a params.yaml in which up to four values or keys are replaced, removed or added."""
    content = copy.deepcopy(CONTENTS[draw(st.sampled_from(FILES))])
    for _ in range(draw(st.integers(1, 4))):
        keys = draw(st.sampled_from(places(content)))
        parent, key = value_at(content, keys[:-1]), keys[-1]
        value = copy.deepcopy(draw(st.sampled_from([*ODD, *NOT_NUMBERS, *CONTENTS[FILES[2]].values()])))
        kind = draw(st.sampled_from(["replace", "replace", "remove", "add", "rename", "long"]))
        if kind == "replace":
            parent[key] = value
        elif kind == "remove":
            del parent[key]
        elif isinstance(parent, list):
            parent.extend([value] * (1 if kind == "add" else 30))
        elif kind == "rename":
            parent[draw(st.sampled_from([f"{key} ", f"{key}x", "x;touch PWNED", "", "ä", "k" * 90]))] = parent.pop(key)
        else:
            parent[draw(st.text(max_size=20))] = value
    return content


def _check_wrong_type(case, folder, run):
    content, keys = case
    _write(folder, content)
    outcome = run("experiments", cwd=folder)
    check_refused(outcome)
    named = [str(key) for key in keys if not isinstance(key, int)]
    assert named[0] in outcome.err, (keys, outcome.err)


def _check_odd(content, folder, run):
    _write(folder, content)
    before = snapshot(folder)
    check_ended(run("experiments", cwd=folder))
    assert snapshot(folder) == before


@cases(6)
@given(case=wrong_types())
def test_wrong_types_are_refused(tmp_path, run, case):
    _check_wrong_type(case, tmp_path, run)


@cases(6)
@given(content=odd_contents())
def test_odd_values_end_in_one_line(tmp_path, run, content):
    _check_odd(content, tmp_path, run)


@pytest.mark.slow
@cases(800)
@given(case=wrong_types())
def test_many_wrong_types_are_refused(tmp_path, run, case):
    _check_wrong_type(case, tmp_path, run)


@pytest.mark.slow
@cases(800)
@given(content=odd_contents())
def test_many_odd_values_end_in_one_line(tmp_path, run, content):
    _check_odd(content, tmp_path, run)
