"""Outputs that a user names: nothing is replaced that the same command did not write."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skinlesion.data.photographs import distinct_names, find_photographs
from skinlesion.errors import UserError
from skinlesion.outputs import check_output_folder, check_outputs
from tests.evaluation.test_predictions import make_table
from tests.faults.harness import check_refused, snapshot


@pytest.fixture
def photos(finished, tmp_path):
    """A folder with three photographs, two of one name in two folders."""
    pixels = np.load(finished / "data/prepared/images.npy")
    for place, name in enumerate(["p.png", "a/same.png", "b/same.png"]):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[place]).save(path)
    return tmp_path / "photos"


def predict(run, finished, *arguments):
    return run("predict", *map(str, arguments), "--experiment", "image", "--no-unlike", cwd=finished)


def test_pictures_never_replace_photographs(finished, run, photos):
    before = snapshot(photos)
    check_refused(predict(run, finished, photos / "p.png", "--cam", photos), "--cam", "p.png", "choose another")
    check_refused(predict(run, finished, photos / "a", "--cam", photos / "a"), "same.png")
    assert snapshot(photos) == before


def test_photographs_of_one_name_have_pictures_of_their_own_and_a_second_call_replaces_them(
    finished, run, photos, tmp_path
):
    for _ in range(2):
        outcome = predict(run, finished, photos, "--cam", tmp_path / "cams")
        assert outcome.code == 0, outcome.err
        names = sorted(path.name for path in (tmp_path / "cams").iterdir())
        assert names == ["a-same.png", "b-same.png", "p.png"]
    for name in ("a", "b"):
        with (
            Image.open(tmp_path / f"cams/{name}-same.png") as picture,
            Image.open(photos / name / "same.png") as original,
        ):
            np.testing.assert_array_equal(np.asarray(picture)[:, :32], np.asarray(original))


@pytest.mark.parametrize("kind", ["file", "link", "folder", "below a file", "dangling link"])
def test_pictures_go_only_where_they_can(finished, run, photos, tmp_path, kind):
    cams = tmp_path / "cams"
    cams.mkdir()
    target = cams / "p.png"
    if kind == "file":
        target.write_text("notes")
    elif kind == "link":
        target.symlink_to(photos / "p.png")
    elif kind == "dangling link":
        target.symlink_to(tmp_path / "nowhere")
    elif kind == "folder":
        target.mkdir()
    else:
        cams = photos / "p.png" / "cams"
    before = snapshot(tmp_path)
    check_refused(predict(run, finished, photos / "p.png", "--cam", cams), "--cam", "choose another")
    assert snapshot(tmp_path) == before


def test_a_photograph_given_twice_is_answered_once(finished, run, photos):
    outcome = predict(run, finished, photos / "p.png", photos, "--json")
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 3
    assert "given twice" in outcome.err


def test_names_are_distinct(tmp_path):
    files = [tmp_path / name for name in ("x/p.jpg", "x/p.png", "y/P.jpg", "z/x-p.jpg.png", "q.jpg")]
    names = distinct_names(files)
    assert names[files[-1]] == "q"
    assert len({name.casefold() for name in names.values()}) == len(files)
    assert list(distinct_names([tmp_path / "x/p.jpg", tmp_path / "x/p.png"]).values()) == ["p.jpg", "p.png"]


@pytest.mark.parametrize("argument", ["", "nu\0ll", "n" * 300])
def test_photographs_of_no_usable_name(tmp_path, argument):
    with pytest.raises(UserError):
        find_photographs([tmp_path / argument])


def test_an_empty_argument_is_not_the_current_folder(finished, run):
    check_refused(predict(run, finished, ""), "empty")


@pytest.fixture
def scored(tmp_path):
    table = make_table(210, 1)
    path = tmp_path / "p.csv"
    table.to_csv(path, index=False)
    return path


def test_score_replaces_its_own_tables_and_nothing_else(scored, run, tmp_path):
    command = ("score", str(scored), "--validation", str(scored), "--replicates", "100", "--out")
    outcome = run(*command, "out", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    first = snapshot(tmp_path / "out")
    assert "reliability.csv" in first
    assert run(*command, "out", cwd=tmp_path).code == 0
    assert snapshot(tmp_path / "out") == first
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/reliability.csv").write_text("my,own\n1,2\n")
    before = snapshot(tmp_path)
    check_refused(run(*command, "mine", cwd=tmp_path), "--out", "reliability.csv")
    check_refused(run(*command, "p.csv", cwd=tmp_path), "--out", "where a folder is to be")
    assert snapshot(tmp_path) == before


def test_export_replaces_nothing_else(finished, run, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    out = str(tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text('{"mine": 1}')
    check_refused(run("export", "image", "--out", out, cwd=finished), "m.json")
    (tmp_path / "m.json").unlink()
    (tmp_path / "m.onnx").write_text("mine")
    check_refused(run("export", "image", "--out", out, cwd=finished), "m.onnx")


@pytest.mark.slow
def test_export_replaces_its_own_files(finished, run, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    out = str(tmp_path / "m.onnx")
    for _ in range(2):
        outcome = run("export", "image", "--out", out, cwd=finished)
        assert outcome.code == 0, outcome.err
    assert pd.read_json(tmp_path / "m.json", typ="series")["experiment"] == "image"


BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "no markers",
        f"{END}\n{BEGIN}\nall of this would go",
        f"{BEGIN}\n{BEGIN}\n{END}",
        f"{BEGIN}\n{END}\n{END}",
        b"\xff" + f"{BEGIN}\n{END}".encode(),
    ],
)
def test_a_readme_without_a_place_for_the_table_is_left_alone(finished, run, tmp_path, text):
    readme = tmp_path / "README.md"
    if text is not None:
        readme.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = snapshot(tmp_path)
    check_refused(run("report", "--readme", str(readme), cwd=finished), "README.md")
    assert snapshot(tmp_path) == before


def test_only_what_is_between_the_markers_of_a_readme_changes(tmp_path):
    from skinlesion.results.workspace import Workspace
    from skinlesion.stages.report import write_readme_table

    folder = tmp_path / "workspace"
    (folder / "reports").mkdir(parents=True)
    (folder / "reports/headline.md").write_text("| a |\n")
    readme = tmp_path / "README.md"
    readme.write_bytes(f"\ufeffa\r\nb\r\n{BEGIN}old{END}\r\nc".encode())
    (tmp_path / "link.md").symlink_to(readme)
    write_readme_table(Workspace(folder), tmp_path / "link.md")
    written = readme.read_bytes().decode()
    assert written.startswith(f"\ufeffa\r\nb\r\n{BEGIN}\n|")
    assert written.endswith(f"{END}\r\nc")
    assert (tmp_path / "link.md").is_symlink()


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "closed").mkdir(mode=0o500)
    check_output_folder(tmp_path / "new/below", "--out")
    for name in ("file", "file/below", "nu\0ll", "n" * 300):
        with pytest.raises(UserError, match="--out"):
            check_output_folder(tmp_path / name, "--out")
    with pytest.raises(UserError, match="choose another"):
        check_outputs([tmp_path / "file"], "--out", lambda path: False)
    check_outputs([tmp_path / "file"], "--out", lambda path: True)
