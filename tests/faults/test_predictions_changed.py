"""A good prediction file with bytes, cells, columns or rows changed: refused in one line, or read consistently."""

import csv
import functools
import io
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinlesion.errors import UserError, one_line
from skinlesion.evaluation.predictions import ABSENT, Predictions, read_predictions, read_validation
from tests.evaluation.test_predictions import make_table
from tests.faults.harness import LONGEST_LINE

#: What people and programs leave in cells.
CELLS = [
    "", " ", "NA", "nan", "null", "None", "-", "?", "0", "1", "-1", "1.5", "1e400", "-inf", "inf", "1e-400", "0x1",
    "1+2j", "0,5", "TRUE", "False", "mel", "nv", "MEL", "wart", "i0", "i1", "I1", "l0", "l1", "1" * 400, "x" * 3000,
    "\x1b[31m", "\x00", "\n", "\r", '"', "'", "=1+1", "\ufeff", "\u202e", "é", "１", "2147483648", "9" * 25, "true",
    "1_0",
]  # fmt: skip


@functools.cache
def good() -> str:
    return make_table(12, 2).to_csv(index=False)


@functools.cache
def unchanged() -> Predictions:
    return read(good().encode())


def read(data: bytes, read_table=read_predictions) -> Predictions:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.csv"
        path.write_bytes(data)
        return read_table(path)[0]


def written(rows: list[list[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode("utf-8", "surrogatepass")


@st.composite
def changed_cells(draw) -> bytes:
    """Draw a table with cells, rows or columns changed."""
    rows = [list(row) for row in csv.reader(io.StringIO(good()))]
    for _ in range(draw(st.integers(1, 3))):
        row, column = draw(st.integers(0, len(rows) - 1)), draw(st.integers(0, len(rows[0]) - 1))
        kind = draw(st.sampled_from(["cell", "cell", "column of cells", "row twice", "no row", "no column", "swap"]))
        value = draw(st.sampled_from(CELLS))
        if kind == "cell" and column < len(rows[row]):
            rows[row][column] = value
        elif kind == "column of cells":
            rows = [rows[0], *([*cells[:column], value, *cells[column + 1 :]] for cells in rows[1:])]
        elif kind == "row twice":
            rows.insert(row, list(rows[row]))
        elif kind == "no row" and len(rows) > 1:
            del rows[row]
        elif kind == "no column" and len(rows[0]) > 1:
            rows = [[*cells[:column], *cells[column + 1 :]] for cells in rows]
        elif kind == "swap":
            other = draw(st.integers(0, len(rows) - 1))
            rows[row], rows[other] = rows[other], rows[row]
    return written(rows)


@st.composite
def changed_bytes(draw) -> bytes:
    """Draw a table with bytes changed, removed, doubled or put in."""
    data = bytearray(good().encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        count = draw(st.sampled_from([1, 2, 10, 100, len(data) // 2]))
        kind = draw(st.sampled_from(["change", "remove", "double", "insert", "cut"]))
        if kind == "change":
            data[place : place + 1] = draw(st.binary(min_size=1, max_size=2))
        elif kind == "remove":
            del data[place : place + count]
        elif kind == "double":
            data[place:place] = data[place : place + count]
        elif kind == "insert":
            data[place:place] = draw(
                st.sampled_from([b",", b'"', b"\n", b"\r", b"\0", b"\xff", b"-", b"e9", b";", b"\t"])
            )
        else:
            del data[place:]
    return bytes(data)


def check_changed(data: bytes) -> None:
    for read_table in (read_predictions, read_validation):
        try:
            predictions = read(data, read_table)
        except UserError as error:
            line = one_line(error)
            assert line.isprintable()
            assert len(line) <= LONGEST_LINE
            continue
        check_consistent(predictions)
        if read_table is read_predictions:
            check_untouched_rows(data, predictions)
        check_order_does_not_matter(data, predictions, read_table)


def check_consistent(predictions: Predictions) -> None:
    assert len(set(predictions.image_ids)) == len(predictions.image_ids)
    assert all(str(name).strip() for name in [*predictions.image_ids, *predictions.lesions])
    assert (predictions.labels >= 0).all()
    present = predictions.folds != ABSENT
    assert (predictions.folds[present] >= 0).all()
    assert np.abs(predictions.probabilities[present].sum(axis=1) - 1).max() <= 1e-3
    assert np.isnan(predictions.probabilities[~present]).all()


def check_untouched_rows(data: bytes, predictions: Predictions) -> None:
    """Images whose rows are in the file as they were have the values they had: no shift of columns, no other id."""
    lines, expected = good().encode().splitlines(), unchanged()
    present = data.splitlines()
    if b'"' in data or present[:1] != lines[:1] or predictions.layers != expected.layers:
        return  # a quote can take several lines into one cell
    present = set(present)
    rows_of = {
        name: [line for line in lines[1:] if line.split(b",")[0].decode() == name] for name in expected.image_ids
    }
    untouched = [name for name, rows in rows_of.items() if set(rows) <= present and name in predictions.image_ids]
    before = [expected.image_ids.tolist().index(name) for name in untouched]
    after = [predictions.image_ids.tolist().index(name) for name in untouched]
    np.testing.assert_array_equal(predictions.labels[after], expected.labels[before])
    np.testing.assert_array_equal(predictions.lesions[after], expected.lesions[before])
    np.testing.assert_array_equal(predictions.probabilities[:, after], expected.probabilities[:, before])


def check_order_does_not_matter(data: bytes, predictions: Predictions, read_table) -> None:
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig").replace("\r\n", "\n"), newline="")))
    rows = [row for row in rows if row]
    head, body = rows[0], rows[1:]
    random.Random(0).shuffle(body)
    reordered = read(written([head, *body]), read_table)
    for name in ("image_ids", "lesions", "labels", "folds", "probabilities"):
        np.testing.assert_array_equal(getattr(reordered, name), getattr(predictions, name))


@settings(max_examples=40, deadline=None)
@given(changed_cells())
def test_changed_cells(data):
    check_changed(data)


@settings(max_examples=40, deadline=None)
@given(changed_bytes())
def test_changed_bytes(data):
    check_changed(data)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.one_of(changed_cells(), changed_bytes()))
def test_many_changes(data):
    check_changed(data)
