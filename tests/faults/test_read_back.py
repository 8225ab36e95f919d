"""JSON and CSV files that commands read back, damaged in any way: read as they are, or refused in one line."""

import io
import json
import shutil
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinlesion.data.download import Remote, download
from skinlesion.data.sources.isic_archive import open_source
from skinlesion.errors import UserError, one_line
from skinlesion.evaluation.recalibration import restore_calibrator
from skinlesion.experiment.inputs import Inputs
from skinlesion.experiment.predictor import _fitted
from skinlesion.models.metadata_encoders import restore_encoder
from skinlesion.params import DataParams
from skinlesion.params_file import load_params
from skinlesion.reading import read_csv
from skinlesion.report.effect_page import effect_page
from skinlesion.report.model_card import model_card
from skinlesion.report.sections.claims import claims
from skinlesion.report.sections.comparisons import comparisons
from skinlesion.report.sections.data import data
from skinlesion.report.sections.explanations import explanations
from skinlesion.report.sections.flips import flips
from skinlesion.report.sections.metadata import metadata
from skinlesion.report.sections.own_rules import own_rules
from skinlesion.report.sections.power import power
from skinlesion.report.sections.provenance import provenance
from skinlesion.report.sections.variance import variance
from skinlesion.report.tables import describe, results_table
from skinlesion.results.reader import Results
from skinlesion.results.workspace import Workspace
from skinlesion.stages import ensemble, stats
from skinlesion.stages import metadata as metadata_stage
from skinlesion.training import runs
from skinlesion.training.runs import Run
from tests.faults.harness import SEEDS, cases, check_refused
from tests.faults.mutations import ODD_TEXTS, mutate_csv, mutate_json


@pytest.fixture(scope="module")
def whole(reported, tmp_path_factory):
    """Return a copy of a workspace with every result, which examples damage and restore."""
    folder = tmp_path_factory.mktemp("read-back") / "workspace"
    shutil.copytree(reported, folder)
    return folder


def tables(results):
    systems = results.systems()
    results_table(systems)
    describe(systems, results.prepared)


def card(name):
    return lambda results: model_card(results, name)


def history(results):
    table = runs.read_history(results.workspace.model("concat"), Run(0, 0))
    assert table["epoch"].notna().all()


def predicted(results):
    for run in _fitted(results.workspace, "concat").values():
        assert run.calibrator is not None


def masked(results):
    folder, remedy = results.workspace.results("concat"), "evaluate it"
    versions = metadata_stage._read_masked(folder, remedy, results.predictions("concat"))
    assert all(np.isfinite(version.probabilities).all() for version in versions.values())


def external(results):
    stats._external(results.params, results.workspace, [("image", "concat")], stats.plan_of(results.params))


#: Each file, and what reads it.
READERS = {
    "data/prepared/prepared.json": [lambda results: Inputs(results.workspace, results.params.experiment("image"),
                                                            results.params.split).images, data, tables],
    "data/prepared/files.csv": [lambda results: Inputs(results.workspace, results.params.experiment("image"),
                                                        results.params.split).hashes(0)],
    "data/prepared/metadata.csv": [lambda results: Inputs(results.workspace, results.params.experiment("image"),
                                                           results.params.split).split],
    "data/splits/lesion.csv": [lambda results: Inputs(results.workspace, results.params.experiment("image"),
                                                       results.params.split).hashes(0)],
    "models/concat/fold0-seed0/run.json": [lambda results: runs.read_run(results.workspace.model("concat")
                                                                         / "fold0-seed0")],
    "models/concat/fold0-seed0/history.csv": [history],
    "reports/split.json": [data],
    "reports/audit/audit.json": [data],
    "reports/audit/shortcuts.csv": [data],
    "reports/runs/concat/metrics.json": [tables, card("concat")],
    "reports/runs/concat/notes.json": [tables, provenance, card("concat"),
                                       lambda results: ensemble._notes(results.workspace, "concat", "evaluate it")],
    "reports/runs/concat/masked.csv": [masked],
    "reports/ensembles/both/notes.json": [tables, provenance],
    "reports/runs/concat/external/notes.json": [external],
    "reports/stats/stats.json": [claims],
    "reports/stats/claims.csv": [claims],
    "reports/metadata/metadata.json": [metadata, card("concat")],
    "reports/assessments/concat/assessment.json": [card("concat")],
    "reports/assessments/concat/notes.json": [predicted],
    "reports/assessments/concat/subgroups.csv": [card("concat")],
    "reports/explanations/explanation.json": [explanations],
    "reports/effect/effect.csv": [effect_page],
    "reports/effect/label_noise.csv": [effect_page],
    "reports/stats/comparisons.csv": [comparisons],
    "reports/stats/own_rules.csv": [own_rules],
    "reports/stats/flips.csv": [flips],
    "reports/stats/detectable.csv": [power],
    "reports/stats/variance.csv": [variance],
    "reports/explanations/maps/image/summary.csv": [explanations],
}  # fmt: skip


def check_message(error):
    assert one_line(error).isprintable()
    assert len(str(error)) < 3000


def check_read_back(folder, name, seed):
    """Damage a file, let everything that reads it read it, and restore it."""
    path = folder / name
    text = path.read_text()
    params, workspace = load_params(folder / "params.yaml"), Workspace(folder)
    try:
        mutate = mutate_json if path.suffix == ".json" else mutate_csv
        path.write_text(mutate(text, seed), encoding="utf-8", errors="surrogatepass")
        for read in READERS[name]:
            try:
                read(Results(params, workspace))
            except UserError as error:
                check_message(error)
    finally:
        path.write_text(text)


@cases(40)
@given(st.sampled_from(sorted(READERS)), SEEDS)
def test_damaged_files(whole, name, seed):
    check_read_back(whole, name, seed)


@pytest.mark.slow
@cases(4000)
@given(st.sampled_from(sorted(READERS)), SEEDS)
def test_much_damaged_files(whole, name, seed):
    check_read_back(whole, name, seed)


@pytest.mark.parametrize("name", [name for name in READERS if name.endswith(".json") and "external" not in name])
@pytest.mark.parametrize("text", ["[]", "null", "{}", "3", '{"a": 1e999}', '{"images": "many"}'])
def test_json_of_another_shape_is_refused(whole, name, text):
    path = whole / name
    before = path.read_text()
    results = Results(load_params(whole / "params.yaml"), Workspace(whole))
    may_be_empty = name.endswith(("explanation.json", "metadata.json")) and text == "{}"
    try:
        path.write_text(text)
        if may_be_empty:
            READERS[name][0](results)
        else:
            with pytest.raises(UserError, match=path.name):
                READERS[name][0](results)
    finally:
        path.write_text(before)


@pytest.mark.parametrize("temperature", [0, -1, None, "1", True, 1e400, float("nan")])
def test_a_calibrator_with_an_impossible_temperature_is_refused(whole, run, temperature):
    path = whole / "reports/assessments/concat/notes.json"
    before = path.read_text()
    content = json.loads(before)
    content["runs"][0]["calibrator"]["temperature"] = temperature
    try:
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="assess concat"):
            _fitted(Workspace(whole), "concat")
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    "state",
    [
        {}, {"method": []}, {"method": "vector", "scale": [1.0], "shift": [0.0]},
        {"method": "isotonic", "knots": []}, {"method": "isotonic", "knots": [[[0.0, 1.0], [0.0]]] * 7},
        {"method": "isotonic", "knots": [[[0.0, 1.0], [1.0, 0.0]]] * 7}, {"method": "temperature"},
    ],
)  # fmt: skip
def test_calibrators_that_are_none_are_refused(state):
    with pytest.raises(UserError, match="calibrator"):
        restore_calibrator(state)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("onehot", {}), ("onehot", {"age_mean": float("nan"), "age_std": 0.0, "sexes": [], "localizations": []}),
        ("onehot", {"age_mean": 1.0, "age_std": -1.0, "sexes": ["male"], "localizations": []}),
        ("onehot", {"age_mean": 1.0, "age_std": 1e-300, "sexes": ["male"], "localizations": ["back"]}),
        ("onehot", {"age_mean": 1e300, "age_std": 1.0, "sexes": ["male"], "localizations": ["back"]}),
        ("ordinal", {"age_median": 1.0, "means": [0.0], "stds": [1.0]}),
        ("ordinal", {"age_median": 1.0, "means": [0.0, 1.0, -1e300], "stds": [1.0, 1.0, 1.0]}),
        ("embedding", {"age_mean": "1", "age_std": 1.0, "binned": False}),
    ],
)  # fmt: skip
def test_encoders_that_are_none_are_refused(name, state):
    with pytest.raises(UserError, match="metadata_encoder"):
        restore_encoder(name, state)


@contextmanager
def changed(path, edit):
    """Edit the text of a file, and put it back."""
    text = path.read_text()
    assert edit(text) != text
    try:
        path.write_text(edit(text))
        yield
    finally:
        path.write_text(text)


@pytest.mark.parametrize("folder", ["runs/image", "ensembles/both"])
def test_notes_of_an_unknown_protocol_are_refused(whole, folder):
    path, odd = whole / "reports" / folder / "notes.json", '"protocol": "\\u001b[31mred"'
    with changed(path, lambda text: text.replace('"protocol": "lesion"', odd)):
        with pytest.raises(UserError, match="protocol") as refused:
            tables(Results(load_params(whole / "params.yaml"), Workspace(whole)))
        check_message(refused.value)


@pytest.mark.parametrize("source", ["", "3"])
def test_claims_whose_sources_are_no_words(whole, source):
    path = whole / "reports/stats/claims.csv"
    with changed(path, lambda text: pd.read_csv(io.StringIO(text)).assign(source=source).to_csv(index=False)):
        assert claims(Results(load_params(whole / "params.yaml"), Workspace(whole))) is not None


@pytest.mark.parametrize("word", ["", "up"])
def test_claims_of_an_unknown_direction_are_refused(whole, word):
    with changed(whole / "reports/stats/claims.csv", lambda text: text.replace(",higher,", f",{word},")):
        with pytest.raises(UserError, match="direction") as refused:
            claims(Results(load_params(whole / "params.yaml"), Workspace(whole)))
        check_message(refused.value)


@pytest.mark.parametrize("text", [*ODD_TEXTS, '{"a.csv": 3}', '{"a.csv": null}'])
def test_a_damaged_list_of_checksums_is_refused(tmp_path, text):
    (tmp_path / "checksums.json").write_text(text)
    (tmp_path / "a.csv").write_text("x")
    remote = Remote("a.csv", "http://localhost:9/a.csv")
    if text == "{}":
        assert download(remote, tmp_path) == tmp_path / "a.csv"
        return
    with pytest.raises(UserError, match=r"checksums\.json"):
        download(remote, tmp_path)


PAGE = {
    "results": [
        {"isic_id": f"ISIC_{place}", "metadata": {"clinical": {"age_approx": 50, "sex": "male", "diagnosis": "nevus"},
                                                  "acquisition": {"pixels_x": 10}}}
        for place in range(3)
    ]
}  # fmt: skip


def check_page(folder, seed):
    (folder / "page.json").write_text(mutate_json(json.dumps(PAGE), seed), encoding="utf-8", errors="surrogatepass")
    try:
        source = open_source(DataParams(source="isic_archive", path="."), folder)
        source.records()
    except UserError as error:
        check_message(error)


def test_a_page_of_the_archive_is_read(tmp_path):
    (tmp_path / "page.json").write_text(json.dumps(PAGE))
    records = open_source(DataParams(source="isic_archive", path="."), tmp_path).records()
    assert list(records["dx"]) == ["nv"] * 3


@cases(40)
@given(SEEDS)
def test_damaged_pages_of_the_archive(tmp_path, seed):
    check_page(tmp_path, seed)


@pytest.mark.slow
@cases(4000)
@given(SEEDS)
def test_many_damaged_pages_of_the_archive(tmp_path, seed):
    check_page(tmp_path, seed)


@pytest.mark.parametrize("cell", ["x", "True", "\x1b[2J", "1;2"])
def test_a_column_of_numbers_holds_numbers(tmp_path, cell):
    (tmp_path / "a.csv").write_text(f"epoch,name\n1,a\n{cell},b\n,c\n")
    with pytest.raises(UserError, match=r"line 3: 'epoch' is .*, not a number; fix it"):
        read_csv(tmp_path / "a.csv", ("epoch",), "fix it", numbers=("epoch", "absent"))
    (tmp_path / "a.csv").write_text("epoch,name\n1,a\n2.5,b\n,c\n")
    assert read_csv(tmp_path / "a.csv", ("epoch",), "fix it", numbers=("epoch",))["epoch"].sum() == 3.5


@pytest.mark.parametrize("name", ["models/concat/fold0-seed0/run.json", "models/concat/fold0-seed0/history.csv",
                                  "data/prepared/prepared.json"])  # fmt: skip
def test_evaluate_says_which_file_is_damaged(whole, run, name):
    path = whole / name
    before = path.read_text()
    try:
        path.write_text("[]")
        check_refused(run("evaluate", "--experiment", "concat", cwd=whole), path.name)
    finally:
        path.write_text(before)
