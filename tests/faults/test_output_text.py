"""What is written for people: no escape sequences, no formulas, no scripts, and JSON that every reader knows."""

import csv
import io
import json
import math
import shutil
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skinlesion import console
from skinlesion.files import write_csv
from skinlesion.reading import read_csv
from skinlesion.table_files import with_formula, without_formula
from tests.archive import records, write_archive
from tests.conftest import small_params, write_params
from tests.faults.harness import check_refused

ESCAPE = "\x1b]0;owned\x07\x9b31m"
FORMULAS = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x", "=", "-", "--1", "-1e5x", "=5"]
PLAIN = ["", "a", "ISIC_1", "'tis", "1-2", "-0.5", "+3", "-1e-05", "−0.5", "'"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_is_written_as_text_and_read_back(tmp_path, cell):
    assert without_formula(cell).startswith("'")
    assert with_formula(without_formula(cell)) == cell
    if "\r" in cell:  # no id has one: `prepare` and the reader of predictions refuse it
        return
    table = pd.DataFrame({"image_id": [cell, "b"], "n": [-1.5, 2.0], "missing": [None, cell]})
    write_csv(tmp_path / "t.csv", table)
    written = list(csv.reader(io.StringIO((tmp_path / "t.csv").read_bytes().decode(), newline="")))
    assert written[1][0] == f"'{cell}"
    assert written[1][1] == "-1.5"
    restored = read_csv(tmp_path / "t.csv", ("image_id",), "", dtype={"image_id": str, "missing": str})
    assert list(restored["image_id"]) == [cell, "b"]
    assert restored["missing"].isna().tolist() == [True, False]


@pytest.mark.parametrize("cell", PLAIN)
def test_other_cells_are_left_alone(cell):
    assert without_formula(cell) == cell
    assert with_formula(cell) == cell


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="'=+-@\t\r1.e ax", max_size=6))
def test_every_cell_is_read_back(cell):
    written = without_formula(cell)
    assert with_formula(written) == cell
    assert not written.startswith(("=", "@", "\t", "\r"))


def test_columns_of_categories_and_of_text_are_written_alike(tmp_path):
    table = pd.DataFrame({"dx": pd.Categorical(["nv", "mel"]), "id": ["=x", "y"]})
    write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text() == "dx,id\nnv,'=x\nmel,y\n"


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.none() | st.floats() | st.text() | st.integers(), lambda inner: st.lists(inner) |
                    st.dictionaries(st.text(), inner), max_leaves=10))  # fmt: skip
def test_json_is_always_valid(content):
    text = console.json_text(content)
    assert text.isascii()
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


def test_what_is_no_number_is_null():
    assert json.loads(console.json_text({"a": [math.nan, math.inf, 1.5], "b": (np.float64("nan"),)})) == {
        "a": [None, None, 1.5],
        "b": [None],
    }


ROW = {
    "file": f"a{ESCAPE}\nerror: no.jpg", "experiment": "image", "sees": "image", "record": False,
    "trained_on": "phantom", "synthetic": True, "unlike": None, "unlike_training": None, "answer": "nv",
    **{f"p_{name}": 1 / 7 for name in ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")}, "malignant": 0.3,
    "malignant_prevalence": None, "set": None, "called": {}, "error": "",
}  # fmt: skip


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_file_names_reach_the_terminal_escaped(capsys, form):
    printer = console.PredictionPrinter(form, [], 1)
    printer.show(ROW)
    printer.show(ROW | {"file": "=1+1\udcff"})
    printer.show({"file": ROW["file"], "error": f"{ROW['file']}: not a readable image"})
    printer.end()
    captured = capsys.readouterr()
    assert all(line.isprintable() for line in (captured.out + captured.err).split("\n"))
    assert captured.err.count("error: ") == 2  # of one line, which holds the name
    captured.out.encode("utf-8")
    if form == "csv":
        assert list(csv.DictReader(io.StringIO(captured.out)))[1]["file"] == "'=1+1\\udcff"


def test_ids_and_warnings_reach_the_terminal_escaped(capsys):
    console.warn([f"lesion {ESCAPE}\nerror: x"])
    console.show_prepared(
        {"attribution": ESCAPE, "images_by_class": {"nv": 1}, "images": 1, "lesions": 1, "image_size": 32,
         "rejected": {"unreadable": [ESCAPE]}, "dropped": {ESCAPE: 3}}, Path(f"out{ESCAPE}"),
    )  # fmt: skip
    captured = capsys.readouterr()
    assert all(line.isprintable() for line in (captured.out + captured.err).split("\n"))
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("name", ["caf\udce9.png", "=1+1.png", "esc\x1b[2J.png", "new\nline.png"])
@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_photographs_of_odd_names(finished, run, tmp_path, name, form):
    Image.fromarray(np.load(finished / "data/prepared/images.npy")[0]).save(tmp_path / "p.png")
    (tmp_path / "p.png").rename(tmp_path / name)
    cams = ("--cam", str(tmp_path / "cams")) if not form and "\n" in name else ()
    outcome = run("predict", str(tmp_path / name), "--experiment", "image", "--no-unlike", *form, *cams, cwd=finished)
    assert outcome.code == 0, outcome.err
    assert all(line.isprintable() for line in (outcome.out + outcome.err).split("\n"))
    outcome.out.encode("utf-8")
    (tmp_path / name).write_text("no image")
    check_refused(run("predict", str(tmp_path / name), "--experiment", "image", "--no-unlike", cwd=finished))


def test_ids_of_an_archive_that_are_formulas_come_back(tmp_path, run):
    table = records(12)
    table["lesion_id"] = [f"=cmd|{number // 2}" for number in range(12)]
    write_archive(tmp_path / "raw", table)
    params = small_params(data={"source": "ham10000", "path": "raw", "download": False}, claims=[])
    params["data"].pop("phantom")
    write_params(tmp_path, params)
    outcome = run("prepare", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    from skinlesion.data.metadata import read_metadata

    path = tmp_path / "data/prepared/metadata.csv"
    assert list(read_metadata(path)["lesion_id"]) == list(table["lesion_id"])
    with path.open(newline="") as stream:
        assert not any(cell.startswith(("=", "@")) for row in csv.reader(stream) for cell in row)


SCRIPT = "<script>alert('x')</script>$\\frac{$"


class Elements(HTMLParser):
    """The tags of a page and the text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def scripts(path: Path) -> int:
    parser = Elements()
    parser.feed(path.read_text(encoding="utf-8"))
    assert not any(name.startswith("on") for _, attributes in parser.tags for name in attributes)
    return sum(tag == "script" for tag, _ in parser.tags)


def test_reports_escape_whatever_a_user_wrote(reported, run, tmp_path):
    folder = tmp_path / "workspace"
    shutil.copytree(reported, folder)
    before = {path.relative_to(folder): scripts(path) for path in folder.rglob("*.html")}
    assert before
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["report"]["title"] = SCRIPT
    params["claims"][0] |= {"claim": SCRIPT, "source": SCRIPT}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for path in sorted(folder.rglob("*PHANTOM_*.png")):
        path.rename(path.with_name(path.name.replace("PHANTOM_", "PHANTOM_<script>")))
    for path in [*folder.glob("reports/**/*.csv"), *folder.glob("reports/**/*.json"), *folder.glob("data/**/*.csv")]:
        text = path.read_text()
        if "PHANTOM_" in text:
            path.write_text(text.replace("PHANTOM_", "PHANTOM_<script>").replace("LESION_", "<script>"))
    claims = pd.read_csv(folder / "reports/stats/claims.csv").assign(claim=SCRIPT, source=SCRIPT)
    claims.to_csv(folder / "reports/stats/claims.csv", index=False)
    described = folder / "data/prepared/prepared.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"attribution": SCRIPT, "source": SCRIPT}))
    outcome = run("report", cwd=folder)
    assert outcome.code == 0, outcome.err
    page = (folder / "reports/report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    for path, expected in before.items():
        assert scripts(folder / path) == expected, path
    for path in folder.rglob("*.svg"):
        assert "script" not in {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
