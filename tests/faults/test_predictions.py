"""Prediction files and tables that users give: refused in one line, or read as what they say."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest

from skinlesion import table_files
from skinlesion.errors import UserError
from skinlesion.evaluation import predictions as module
from skinlesion.evaluation.predictions import check_lesions, read_predictions, read_validation
from skinlesion.reading import read_csv
from tests.evaluation.test_predictions import make_table
from tests.faults.harness import check_ended, check_refused, snapshot

SCORE = ("--replicates", "100", "--json")


@pytest.fixture
def good(tmp_path):
    make_table(84, 2).to_csv(tmp_path / "good.csv", index=False)
    return tmp_path / "good.csv"


def test_numbers_by_the_file_are_read_with_all_their_checks(good):
    predictions, warnings = read_predictions(good)
    assert warnings == []
    assert predictions.probabilities.shape == (2, 84, 7)


@pytest.mark.parametrize(
    ("modify", "part"),
    [
        (lambda t: t.iloc[:0], "holds no predictions"),
        (lambda t: t.assign(image_id="  "), "image_id blank in line 2"),
        (lambda t: t.assign(image_id=t["image_id"] + "\x1b[2J"), "control character in line 2"),
        (lambda t: t.assign(lesion_id=t["lesion_id"] + "\nx"), "control character in line 2"),
        (lambda t: t.assign(fold=-1), "fold is not a whole number"),
        (lambda t: t.assign(fold=np.inf), "fold is not a whole number"),
        (lambda t: t.assign(fold="x"), "fold is not a whole number"),
        (lambda t: t.assign(fold="9" * 400), "fold is not a whole number"),
        (lambda t: t.assign(seed=1e300), "seed is not a whole number"),
        (lambda t: t.assign(p_mel=np.inf), "not probabilities"),
        (lambda t: t.assign(p_mel=-0.1), "not probabilities"),
        (lambda t: t.assign(p_mel="1+2j"), "not probabilities"),
        (lambda t: t.assign(p_mel="0,5"), "not probabilities"),
        (lambda t: t.rename(columns={"image_id": "image"}).assign(MEL=0.1), "column p_mel twice"),
    ],
)
def test_values_that_are_none(tmp_path, run, modify, part):
    modify(make_table(84)).to_csv(tmp_path / "p.csv", index=False)
    check_refused(run("score", "p.csv", *SCORE, cwd=tmp_path), "p.csv", part)


@pytest.mark.parametrize(
    ("modify", "part"),
    [
        (lambda text: text.replace(b"p_bcc", b"p_mel", 1), "column p_mel twice"),
        (lambda text: text.replace(b"\n", b",7\n").replace(b",7\n", b"\n", 1), "more cells"),
        (lambda text: text.replace(b"i3", b"i\x003"), "null characters"),
        (lambda text: text.decode().encode("utf-16"), "null characters"),
        (lambda text: text.replace(b"i3", b"\xff3"), "not a readable CSV"),
        (lambda text: text.replace(b"i3,", b'"i3,', 1), "not a readable CSV"),
        (lambda text: b"", "not a readable CSV"),
        (lambda text: b"\n" * 100, "not a readable CSV"),
        (lambda text: b"image_id\n1\n", "missing"),
    ],
)
def test_text_that_is_no_table(tmp_path, run, good, modify, part):
    (tmp_path / "p.csv").write_bytes(modify(good.read_bytes()))
    check_refused(run("score", "p.csv", *SCORE, cwd=tmp_path), "p.csv", part)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"i3,", b" i3 ,").replace(b",l1,", b", l1 ,"),
        lambda text: text.rstrip(b"\n"),
        lambda text: b"\n".join([text.split(b"\n")[0], *sorted(text.split(b"\n")[1:-1])]),
        gzip.compress,
        bz2.compress,
        lambda text: gzip.compress(text[:1000]) + gzip.compress(text[1000:]),
    ],
)
def test_the_same_table_written_otherwise_is_the_same(tmp_path, good, change):
    path = tmp_path / "p.csv"
    path.write_bytes(change(good.read_bytes()))
    expected, actual = read_predictions(good)[0], read_predictions(path)[0]
    for name in ("image_ids", "lesions", "labels", "folds", "probabilities"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name))


def archive(kind: str, text: bytes) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as zipped:
            zipped.writestr("p.csv", text)
    else:
        with tarfile.open(fileobj=stream, mode="w") as tarred:
            info = tarfile.TarInfo("p.csv")
            info.size = len(text)
            tarred.addfile(info, io.BytesIO(text))
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.bz2", "csv.xz", "csv.zst", "zip", "tar", "tar.gz"])
@pytest.mark.parametrize("kind", ["xz", "zst", "zip", "tar"])
def test_other_compression_is_refused_by_name_whatever_the_file_is_called(tmp_path, good, suffix, kind):
    text = good.read_bytes()
    content = (
        lzma.compress(text) if kind == "xz" else b"\x28\xb5\x2f\xfd" + text if kind == "zst" else archive(kind, text)
    )
    path = tmp_path / f"p.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{'zstd' if kind == 'zst' else kind}.*unpack it"):
        read_predictions(path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_part_of_a_compressed_file_is_not_the_whole(tmp_path, run, good, compress, kept):
    whole = compress(good.read_bytes())
    (tmp_path / "p.csv.gz").write_bytes(whole[: int(kept * len(whole))])
    check_refused(run("score", "p.csv.gz", *SCORE, cwd=tmp_path), "p.csv.gz", "damaged or cut off")


def test_a_changed_byte_of_a_compressed_file_is_noticed(tmp_path, good):
    whole = bytearray(gzip.compress(good.read_bytes()))
    whole[-6] ^= 1  # of the checksum
    (tmp_path / "p.csv.gz").write_bytes(whole)
    with pytest.raises(UserError, match="damaged"):
        read_predictions(tmp_path / "p.csv.gz")


def test_a_decompression_bomb_and_a_huge_file_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "LARGEST_UNPACKED", 10_000_000)
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(b"0" * 20_000_000))
    with pytest.raises(UserError, match="more than 10,000,000 bytes when unpacked"):
        read_csv(tmp_path / "p.csv.gz", (), "fix it")
    (tmp_path / "p.csv").touch()
    os.truncate(tmp_path / "p.csv", 1 << 40)
    with pytest.raises(UserError, match="fix it"):
        read_csv(tmp_path / "p.csv", (), "fix it")


def test_a_seed_for_each_row_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_LAYERS", 50)
    make_table(60).assign(seed=range(60)).to_csv(tmp_path / "p.csv", index=False)
    for read in (read_predictions, read_validation):
        with pytest.raises(UserError, match="60 different seeds and repeats"):
            read(tmp_path / "p.csv")


def test_a_lesion_of_two_diagnoses(tmp_path, run):
    table = make_table(84)
    table.loc[1, "dx"] = "nv"
    table.to_csv(tmp_path / "p.csv", index=False)
    table.to_csv(tmp_path / "q.csv", index=False)
    score = ("score", "p.csv", *SCORE)
    check_refused(run(*score, cwd=tmp_path), "one lesion differ in dx", "l0")
    check_refused(run(*score, "--validation", "q.csv", cwd=tmp_path), "one lesion differ in dx", "l0")
    check_refused(run("compare", "p.csv", "q.csv", "--replicates", "100", cwd=tmp_path), "one lesion differ", "l0")
    images_alone = ("--replicates", "100", "--permutations", "0", "--cluster", "none")
    assert run("compare", "p.csv", "q.csv", *images_alone, cwd=tmp_path).code == 0
    check_lesions(
        read_predictions(tmp_path / "p.csv")[0].__class__(**vars(read_predictions(write_good(tmp_path))[0])), ""
    )


def write_good(folder):
    make_table(84).to_csv(folder / "good.csv", index=False)
    return folder / "good.csv"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: pd.concat([t, t.iloc[:1]]), "listed twice: i0"),
        (lambda t: t.assign(image_id=t["image_id"].where(t["image_id"] != "i3", "")), "image_id blank"),
        (lambda t: t.assign(age="old"), "age"),
        (lambda t: t.assign(age="1e400"), "age"),
        (lambda t: t.iloc[5:], "i0"),
        (lambda t: t.drop(columns="sex"), "column sex missing"),
        (lambda t: t.iloc[:0], "i0"),
    ],
)
def test_metadata_for_subgroups(tmp_path, run, change, part):
    path = write_good(tmp_path)
    table = make_table(84)[["image_id", "lesion_id", "dx"]].assign(age="40", sex="male", localization="back")
    change(table).to_csv(tmp_path / "m.csv", index=False)
    before = snapshot(tmp_path)
    outcome = run("score", str(path), *SCORE, "--validation", str(path), "--metadata", "m.csv", cwd=tmp_path)
    check_refused(outcome, part)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: t.assign(image_id=t["image_id"] + ".jpg"), "dx missing"),
        (lambda t: t.iloc[:0], "dx missing"),
        (lambda t: t.assign(image_id="x"), "listed twice"),
        (lambda t: t.assign(dx=""), "dx missing"),
        (lambda t: t.assign(dx="wart"), "dx missing or not one of"),
        (lambda t: t.drop(columns="dx"), "column dx missing"),
    ],
)
def test_truth_that_does_not_fit(tmp_path, run, change, part):
    make_table(84).drop(columns=["dx", "lesion_id"]).to_csv(tmp_path / "p.csv", index=False)
    change(make_table(84)[["image_id", "dx", "lesion_id"]]).to_csv(tmp_path / "t.csv", index=False)
    check_refused(run("score", "p.csv", *SCORE, "--truth", "t.csv", cwd=tmp_path), part)


def test_ids_are_words_whatever_they_look_like(tmp_path):
    table = make_table(6).assign(image_id=["1", "1.0", "01", "1e0", "NA", "=1+1"], lesion_id=list("112233"))
    table.to_csv(tmp_path / "p.csv", index=False)
    predictions, _ = read_predictions(tmp_path / "p.csv")
    assert set(predictions.image_ids) == set(table["image_id"])


@pytest.mark.parametrize("name", ["caf\udce9.csv", "line\nbreak.csv", "esc\x1b[31m.csv", "x" * 200 + ".csv"])
def test_files_of_odd_names(tmp_path, run, name):
    good = write_good(tmp_path)
    (tmp_path / name).write_bytes(good.read_bytes())
    fast = ("--replicates", "100", "--permutations", "0")
    for form in ((), ("--json",)):
        outcome = run("compare", str(good), name, *fast, *form, cwd=tmp_path)
        check_ended(outcome)
        assert outcome.code == 0
        assert all(line.isprintable() for line in outcome.out.split("\n"))
        outcome.out.encode("utf-8")
    json.loads(outcome.out)
    (tmp_path / name).write_text("image_id\n1\n")
    check_refused(run("score", name, *SCORE, cwd=tmp_path), "p_vasc")


def test_the_order_of_rows_and_columns_does_not_matter(tmp_path, run, good):
    shuffled = pd.read_csv(good).sample(frac=1, random_state=0).sample(frac=1, axis=1, random_state=0)
    shuffled.to_csv(tmp_path / "p.csv", index=False)
    assert run("score", "p.csv", *SCORE, cwd=tmp_path).out == run("score", str(good), *SCORE, cwd=tmp_path).out
