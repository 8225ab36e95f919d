"""The reader of results: files read once and again when they change, and what to run where one is missing."""

import json

import pytest

from skinlesion.errors import UserError
from skinlesion.params_file import load_params
from skinlesion.results import reader
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from tests.conftest import small_params, write_params


@pytest.fixture
def results(tmp_path):
    params = small_params(ensembles={"both": {"members": ["image", "concat"]}})
    return Results(load_params(write_params(tmp_path, params)), Workspace(tmp_path))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_a_file_is_read_once_and_again_when_it_has_changed(results, monkeypatch):
    reads = []
    read = reader.read_json
    monkeypatch.setattr(reader, "read_json", lambda path, *rest: reads.append(path) or read(path, *rest))
    path = results.folder("image") / "metrics.json"
    write(path, {"accuracy": 0.5})
    assert results.metrics("image") == results.metrics("image") == {"accuracy": 0.5}
    assert len(reads) == 1
    write(path, {"accuracy": 0.625})
    assert results.metrics("image") == {"accuracy": 0.625}
    assert len(reads) == 2


def test_an_external_data_set_added_since_the_evaluation_says_what_to_run(results):
    write(results.folder("image") / "external.json", {"older": {}})
    with pytest.raises(UserError, match=r"holds nothing of newer; run .*skinlesion evaluate image"):
        results.external_figures("image", "newer")


@pytest.mark.parametrize(
    ("ask", "command"),
    [
        (lambda results: results.prepared, "skinlesion prepare"),
        (lambda results: results.metadata, "skinlesion prepare"),
        (lambda results: results.split, "skinlesion split"),
        (lambda results: results.audit, "skinlesion audit"),
        (lambda results: results.shortcuts, "skinlesion audit"),
        (lambda results: results.metrics("image"), "skinlesion evaluate image"),
        (lambda results: results.predictions("image"), "skinlesion evaluate image"),
        (lambda results: results.validation("both"), "skinlesion ensemble both"),
        (lambda results: results.system("both"), "skinlesion ensemble both"),
        (lambda results: results.best, "skinlesion evaluate concat"),
        (lambda results: results.assessment("both"), "skinlesion assess both"),
        (lambda results: results.subgroups("image"), "skinlesion assess image"),
        (lambda results: results.metadata_value, "skinlesion metadata"),
        (lambda results: results.statistics_table("claims"), "skinlesion stats"),
        (lambda results: results.explanations, "skinlesion explain"),
    ],
)
def test_what_is_missing_names_the_command_that_makes_it(results, ask, command):
    with pytest.raises(UserError, match=f"no such file; run `{command}`"):
        ask(results)


def test_systems_without_metrics_are_not_evaluated(results):
    assert results.evaluated() == []
    write(results.folder("both") / "metrics.json", {})
    write(results.folder("image") / "metrics.json", {})
    assert results.evaluated() == ["image", "both"]
    assert results.folder("both") == results.workspace.reports / "ensembles" / "both"
    assert not results.synthetic


def test_a_table_without_a_column_is_refused(results):
    write(results.workspace.statistics / "flips.csv", "a,b,dx,lost\n")
    with pytest.raises(UserError, match="column gained missing; run `skinlesion stats`"):
        results.statistics_table("flips")


def test_words_not_given_are_empty_text_and_groups_stay_words(results):
    write(
        results.workspace.assessment("image") / "subgroups.csv",
        "column,group,images,lesions,metric,value,low,high,rest,p_adjusted,worst,note\n"
        "age,30,9,8,accuracy,0.5,0.4,0.6,0.5,1,,\nsex,male,2,1,,,,,,,worst,too small\n",
    )
    table = results.subgroups("image")
    assert list(table["group"]) == ["30", "male"]
    assert list(table["worst"]) == ["", "worst"]
    assert list(table["note"]) == ["", "too small"]


def test_the_best_is_chosen_on_validation_among_those_evaluated(results):
    rows = "image_id,fold,seed,dx,p_akiec,p_bcc,p_bkl,p_df,p_mel,p_nv,p_vasc\n"
    first, second = "a,0,0,nv,0,0,0,0,0,1,0\n", "b,0,0,mel,0,0,0,0,0,1,0\n"
    write(results.folder("concat") / "validation.csv", rows + first + second)
    assert results.best_evaluated() == {"multimodal": "concat"}
    assert results.choose_experiment(metadata=True) == "concat"
    assert results.choose_experiment(metadata=False) == "concat"
    assert results.choose_experiment("image", metadata=True) == "image"
    with pytest.raises(UserError, match="did you mean image"):
        results.choose_experiment("imag", metadata=True)
