"""Archives of images that are damaged, crafted or odd: findings in one line, or left out with `on_error: skip`."""

import io
import json
import os
import re
import tracemalloc
import zipfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinlesion.data.lesion_masks import LesionMasks
from skinlesion.data.sources.images import ImageIndex
from skinlesion.errors import UserError
from skinlesion.files import sha256_file
from tests.archive import jpeg, records, write_archive
from tests.conftest import small_params, write_params
from tests.faults.harness import LONGEST_LINE, LONGEST_LIST, cases, check_ended, check_refused, snapshot

ZIP = "HAM10000_images_part_1.zip"
TABLE = "HAM10000_metadata.csv"
IDS = tuple(records(6)["image_id"])
FIRST = IDS[0]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("SKINLESION_DATA", raising=False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive of six images; not to be written into."""
    return write_archive(tmp_path_factory.mktemp("archive") / "raw", records(6))


def place(folder, archive, **replaced):
    """Make a workspace whose archive is `archive` with some files replaced."""
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for path in archive.iterdir():
        (raw / path.name).write_bytes(path.read_bytes())
    for name, content in replaced.items():
        (raw / name).write_bytes(content)
    return raw


def prepare(folder, run, on_error):
    data = {"source": "ham10000", "path": "raw", "download": False}
    write_params(folder, small_params(data=data, prepare={"on_error": on_error}))
    return run("prepare", cwd=folder)


def zip_of(members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive_file:
        for name, content in members:
            archive_file.writestr(name, content)
    return bytearray(stream.getvalue())


def changed(content, local, central, value, size=2):
    """Return a zip with a field of its first member overwritten, in the local header and in the directory."""
    directory = content.index(b"PK\x01\x02")
    for begin in (local, directory + central):
        content[begin : begin + size] = value.to_bytes(size, "little")
    return bytes(content)


def crafted():
    """Return zips with one member that no reader should trust: name → (content, part of the message)."""
    image, bomb = jpeg(0), b"\xff\xd8" + bytes(60_000_000)
    plain = zip_of([(f"{FIRST}.jpg", image)])
    claims = changed(zip_of([(f"{FIRST}.jpg", bomb)]), 22, 24, 1000, 4)
    return {
        "encrypted": (changed(plain[:], 6, 8, 1), "encrypted in its zip"),
        "unknown method": (changed(plain[:], 8, 10, 77), "method that is not supported"),
        "unknown version": (changed(plain[:], 4, 6, 990), "not a readable zip"),
        "inflates beyond its claim": (claims, "damaged in its zip"),
        "stored as if deflated": (
            changed(zip_of([(f"{FIRST}.jpg", b"\xff" * 500)], zipfile.ZIP_STORED), 8, 10, 8), "damaged in its zip",
        ),
        "bzip2 of nothing": (changed(plain[:], 8, 10, 12), "damaged in its zip"),
        "lzma of nothing": (changed(plain[:], 8, 10, 14), "damaged in its zip"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def crafted_zips():
    return crafted()


@pytest.mark.parametrize(
    "kind",
    ["encrypted", "unknown method", "unknown version", "inflates beyond its claim", "stored as if deflated",
     "bzip2 of nothing", "lzma of nothing"],
)  # fmt: skip
def test_a_crafted_member_is_a_finding(tmp_path, run, archive, crafted_zips, kind):
    content, message = crafted_zips[kind]
    raw = place(tmp_path, archive, **{"images_part_0.zip": content, ZIP: zip_of([(f"{IDS[1]}.jpg", jpeg(1))])})
    before = snapshot(raw)
    tracemalloc.start()
    outcome = prepare(tmp_path, run, "stop")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    check_refused(outcome, message)
    assert peak < 20_000_000
    assert snapshot(raw) == before
    assert not list((tmp_path / "data").rglob("*.*"))
    skipped = prepare(tmp_path, run, "skip")
    if kind == "unknown version":  # of the whole zip
        check_refused(skipped, message)
        return
    check_ended(skipped)
    assert skipped.code == 0
    assert FIRST not in set(pd.read_csv(tmp_path / "data/prepared/metadata.csv")["image_id"])


def test_names_that_lead_out_of_the_folder_are_never_written(tmp_path, run, archive):
    members = [(f"../../../{IDS[0]}.jpg", jpeg(0)), (f"/tmp/{IDS[1]}.jpg", jpeg(1)), (f"C:\\{IDS[2]}.jpg", jpeg(2))]
    place(tmp_path / "inner", archive, **{ZIP: bytes(zip_of(members))})
    check_ended(prepare(tmp_path / "inner", run, "skip"))
    assert {path.name for path in tmp_path.iterdir()} == {"inner"}
    assert {path.name for path in (tmp_path / "inner").iterdir()} == {"raw", "data", "params.yaml"}


def test_two_members_of_one_name(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        same, other = zip_of([("a.jpg", jpeg(0))] * 2), zip_of([("a.jpg", jpeg(0)), ("a.jpg", jpeg(1))])
    for name, content, conflicts in (("same", same, False), ("other", other, True)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "images.zip").write_bytes(content)
        index = ImageIndex(tmp_path / name)
        if conflicts:
            with pytest.raises(ValueError, match="several places with different content"):
                index.read("a")
        else:
            assert index.read("a") == jpeg(0)


@pytest.mark.parametrize("zipped", [False, True])
def test_duplicates_of_the_same_size_and_other_content(tmp_path, zipped):
    content = jpeg(0)
    (tmp_path / "a.jpg").write_bytes(content)
    other = bytearray(content)
    other[len(other) // 2] ^= 1
    if zipped:
        (tmp_path / "b.zip").write_bytes(zip_of([("a.jpg", bytes(other))]))
    else:
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "a.jpg").write_bytes(other)
    with pytest.raises(ValueError, match="several places with different content"):
        ImageIndex(tmp_path).read("a")


def test_what_is_no_file_in_the_archive_is_a_finding(tmp_path, run, archive):
    raw = place(tmp_path, archive, **{ZIP: bytes(zip_of([(f"{IDS[0]}.jpg", jpeg(0))]))})
    os.mkfifo(raw / f"{IDS[1]}.jpg")
    (raw / f"{IDS[2]}.jpg").symlink_to("/dev/zero")
    (raw / "loop").symlink_to(raw, target_is_directory=True)
    (raw / "self").symlink_to("self")
    (raw / os.fsdecode(b"ISIC_\xff.jpg")).write_bytes(jpeg(3))
    for name in IDS[3:]:
        (raw / f"{name}.jpg").symlink_to("nowhere")
    (raw / "HAM10000_images_part_2.zip").unlink()
    check_refused(prepare(tmp_path, run, "stop"), "a broken link, pipe or device", *IDS[1:])
    outcome = prepare(tmp_path, run, "skip")
    assert outcome.code == 0, outcome.err
    assert list(pd.read_csv(tmp_path / "data/prepared/metadata.csv")["image_id"]) == [IDS[0]]


def test_a_zip_that_is_a_pipe_is_refused(tmp_path, run, archive):
    raw = place(tmp_path, archive)
    (raw / ZIP).unlink()
    os.mkfifo(raw / ZIP)
    check_refused(prepare(tmp_path, run, "skip"), ZIP, "pipe")


@pytest.mark.parametrize("content", [b"", b"no image", jpeg(0)[:200]])
def test_a_mask_that_is_no_image(tmp_path, content):
    (tmp_path / "a_segmentation.png").write_bytes(content)
    (tmp_path / "b_segmentation.png").symlink_to("nowhere")
    for name in ("a", "b"):
        with pytest.raises(UserError, match=f"mask of {name}: .*fetch the masks again"):
            LesionMasks(tmp_path, "crop").read(name, 32)


# Damage anywhere: the same strategies, short by default and at length under the marker `slow`.

BYTES = st.binary(min_size=1, max_size=40)
DAMAGE = st.one_of(
    st.tuples(st.just("overwrite"), st.floats(0, 1), BYTES),
    st.tuples(st.just("end"), st.floats(0, 0.02), BYTES),  # within the directory, which stands last
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    st.tuples(st.just("insert"), st.floats(0, 1), BYTES),
    st.tuples(st.just("header"), st.floats(0, 0.999), BYTES),
)


def damaged(content, damage):
    kind, share, new = damage
    at = int(share * len(content))
    if kind == "cut":
        return content[:at]
    if kind == "insert":
        return content[:at] + new + content[at:]
    if kind == "end":
        at = len(content) - at - len(new)
    if kind == "header":  # at the beginning of some member's header
        signs = [place for place in range(len(content) - 4) if content[place : place + 2] == b"PK"]
        at = signs[int(share * len(signs))] + 4 if signs else 0
    return content[:at] + new + content[at + len(new) :]


def check_damaged_zip(folder, run, archive, damages, on_error):
    content = (archive / ZIP).read_bytes()
    for damage in damages:
        content = damaged(content, damage)
    raw = place(folder, archive, **{ZIP: content})
    before = snapshot(raw)
    outcome = prepare(folder, run, on_error)
    check_ended(outcome)
    assert snapshot(raw) == before
    names = {path.name for path in (folder / "data/prepared").glob("*")} if outcome.code == 0 else set()
    assert names <= {"images.npy", "metadata.csv", "files.csv", "prepared.json"}
    if outcome.code == 0:  # what was accepted is what stood in the whole archive
        table = pd.read_csv(folder / "data/prepared/files.csv").set_index("image_id")
        for number, image_id in enumerate(IDS):
            if image_id in table.index:
                (folder / "whole").write_bytes(jpeg(number))
                assert table.loc[image_id, "sha256"] == sha256_file(folder / "whole")
    assert not list(folder.rglob("*.partial"))


def _damaged_zips(examples, marks=()):
    @cases(examples)
    @given(damages=st.lists(DAMAGE, min_size=1, max_size=3), on_error=st.sampled_from(["stop", "skip"]))
    def test(tmp_path_factory, run, archive, damages, on_error):
        check_damaged_zip(tmp_path_factory.mktemp("damaged"), run, archive, damages, on_error)

    return test


test_a_damaged_zip = _damaged_zips(15)
test_many_damaged_zips = pytest.mark.slow(_damaged_zips(1500))

ISIC = json.dumps([{"isic_id": f"ISIC_{n}", "metadata": {"clinical": {"age_approx": 40, "sex": "male",
                    "anatom_site_general": "torso", "diagnosis": "nevus"}}} for n in range(3)])  # fmt: skip
LAYOUTS = {
    "ham10000": (TABLE, records(3).to_csv(index=False)),
    "isic_challenge": ("X_GroundTruth.csv", "image,MEL,NV\nISIC_0,1,0\nISIC_1,0,1\nISIC_2,0,1\n"),
    "isic_archive": ("metadata.json", ISIC),
    "derm7pt": (
        "meta.csv",
        "case_num,diagnosis,location,sex,derm\n1,melanoma,back,male,F/a0.jpg\n2,lentigo,,,F/a1.jpg\n",
    ),
    "pad_ufes_20": (
        "metadata.csv",
        "patient_id,lesion_id,img_id,age,gender,region,diagnostic\nP1,1,I0.png,40,FEMALE,ARM,NEV\nP2,2,I1.png,,,,BCC\n",
    ),
    "folder": ("metadata.csv", "image_id,dx,age\na0,nv,40\na1,mel,\n"),
}
CELLS = st.sampled_from(
    ["", ",", ",,,,,,,,,,,", "\n", '"', "nan", "inf", "-1", "1e400", "9" * 400, "\x00", "\ufeff", "=1+1", "../../x",
     "\x1b[31m", "{}", "[]", "null", "true", "é", "x" * 5000, "\r", ";"]
)  # fmt: skip
TABLE_DAMAGE = st.one_of(
    st.tuples(st.just("overwrite"), st.floats(0, 1), BYTES),
    st.tuples(st.just("insert"), st.floats(0, 1), CELLS.map(str.encode)),
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    st.tuples(st.just("cell"), st.floats(0, 1), CELLS.map(str.encode)),
)


def check_damaged_table(folder, run, source, damages, on_error):
    name, text = LAYOUTS[source]
    content = text.encode()
    for kind, share, new in damages:
        if kind == "cell":
            cells = content.split(b",")
            cells[min(int(share * len(cells)), len(cells) - 1)] = new
            content = b",".join(cells)
        else:
            content = damaged(content, (kind, share, new))
    raw = folder / "raw"
    (raw / "F").mkdir(parents=True)
    (raw / name).write_bytes(content)
    for number in range(3):
        for image in (
            f"ISIC_{number}.jpg",
            f"ISIC_{number:07d}.jpg",
            f"I{number}.png",
            f"a{number}.jpg",
            f"F/a{number}.jpg",
        ):
            (raw / image).write_bytes(jpeg(number))
    data = {"source": source, "path": "raw", "download": False}
    write_params(folder, small_params(data=data, prepare={"on_error": on_error}))
    before = snapshot(raw)
    outcome = run("prepare", cwd=folder)
    # Several findings stand in one line, which may be longer than that of any other mistake.
    several = len(re.findall(r"\([\d,]+\): ", outcome.err)) > 1
    check_ended(outcome, LONGEST_LIST if several else LONGEST_LINE)
    assert snapshot(raw) == before
    assert not list(folder.rglob("*.partial"))


def _damaged_tables(examples):
    @cases(examples)
    @given(
        source=st.sampled_from(sorted(LAYOUTS)),
        damages=st.lists(TABLE_DAMAGE, max_size=3),
        on_error=st.sampled_from(["stop", "skip"]),
    )
    def test(tmp_path_factory, run, source, damages, on_error):
        check_damaged_table(tmp_path_factory.mktemp("table"), run, source, damages, on_error)

    return test


test_a_damaged_table = _damaged_tables(20)
test_many_damaged_tables = pytest.mark.slow(_damaged_tables(1500))


@pytest.mark.parametrize("source", sorted(LAYOUTS))
def test_the_whole_tables_are_accepted(tmp_path, run, source):
    check_damaged_table(tmp_path, run, source, [], "skip")
    assert (tmp_path / "data/prepared/prepared.json").exists()


@pytest.mark.parametrize("commas", [1, 2, 11])
@pytest.mark.parametrize("source", sorted(LAYOUTS))
def test_a_table_with_columns_that_are_all_empty(tmp_path, run, source, commas):
    check_damaged_table(tmp_path, run, source, [("insert", 0.0, b"," * commas)], "stop")


@pytest.mark.parametrize("place", range(0, 100, 4))
@pytest.mark.parametrize("source", sorted(LAYOUTS))
def test_an_endless_number_anywhere_in_a_table(tmp_path, run, source, place):
    check_damaged_table(tmp_path, run, source, [("cell", place / 100, b"9" * 400)], "stop")


@pytest.mark.parametrize(
    "content",
    ["null", "3", "{}", '{"results": 3}', "[1]", '[{"isic_id": null}]', '[{"isic_id": 3}]', "[" * 100_000,
     '[{"isic_id": "ISIC_0", "metadata": 3}]', '[{"isic_id": "ISIC_0", "metadata": {"clinical": [1]}}]',
     '[{"isic_id": "ISIC_0", "metadata": {"clinical": {"sex": {"a": [1]}, "age_approx": [4]}}}]', "[NaN]"],
)  # fmt: skip
def test_an_answer_of_the_archive_of_another_shape(tmp_path, run, content):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/metadata.json").write_text(content)
    (tmp_path / "raw/ISIC_0.jpg").write_bytes(jpeg(0))
    write_params(tmp_path, small_params(data={"source": "isic_archive", "path": "raw"}))
    check_refused(run("prepare", cwd=tmp_path))
